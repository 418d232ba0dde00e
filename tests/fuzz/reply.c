/* What an agent's command printed: any bytes, read into an id that can be one and an answer that can be kept. */
#include "clients/reply.h"
#include "fuzz/fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *output = malloc(size + 1);
	struct reply reply;

	must(output != NULL);
	memcpy(output, data, size);
	output[size] = '\0';
	(void)reply_is_gone(output, size);
	reply_read(output, size, 4096, &reply);
	must(reply.id[0] == '\0' || str_check_id("id", reply.id, ID_MAX, NULL) == OK);
	must(reply.text.len == 0 || str_check_long("answer", reply.text.data, reply.text.len, NULL) == OK);
	buf_release(&reply.text);
	free(output);
	return 0;
}
