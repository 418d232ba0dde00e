#include "verbs/command_reply.h"

#include "os/file.h"

/* A single line. */
static enum status
read_id_file(const char *path, struct reply *reply, struct buf *why)
{
	struct buf text;
	enum status status;

	buf_init(&text, ID_MAX + 2);
	status = file_read(path, &text, why);
	if (status == OK && text.len > 0)
		status = str_check_long(path, text.data, text.len, why);
	while (status == OK && text.len > 0 && strchr("\r\n", text.data[text.len - 1]) != NULL)
		text.data[--text.len] = '\0';
	if (status == OK)
		status = str_check_id("the id in --id-file", text.data, ID_MAX, why);
	if (status == OK)
		snprintf(reply->id, sizeof reply->id, "%s", text.data);
	buf_release(&text);
	return status;
}

enum status
command_reply(struct buf *printed, const char *id_file, size_t text_max, struct reply *reply, struct buf *why)
{
	reply_read(printed->data, printed->len, text_max, reply);
	if (id_file == NULL)
		return OK;
	reply->id[0] = '\0';
	return read_id_file(id_file, reply, why);
}
