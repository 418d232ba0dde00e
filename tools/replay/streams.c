#include "os/file.h"
#include "replay/replay.h"

#define FILE_MAX ((size_t)16 << 20)

/* Adds `text` with every `mark` replaced by `with`, as it stands inside of a JSON text. */
static enum status
replace(const char *text, const char *mark, const char *with, struct buf *out)
{
	json_t *value = json_string(with);
	struct buf quoted;
	const char *found;

	buf_init(&quoted, PATH_SIZE * 8);
	json_write(&quoted, value);
	json_decref(value);
	while (quoted.len > 2 && (found = strstr(text, mark)) != NULL) {
		buf_add(out, text, (size_t)(found - text));
		buf_add(out, quoted.data + 1, quoted.len - 2);
		text = found + strlen(mark);
	}
	buf_text(out, text);
	buf_release(&quoted);
	return buf_status(out);
}

const json_t *
line_payload(const json_t *line, bool *status_line)
{
	const json_t *event = json_object_get(line, "event");

	*status_line = event == NULL;
	return event == NULL ? json_object_get(line, "statusline") : event;
}

static enum status
fill_in(const struct setting *setting, const char *session, const char *text, struct buf *out)
{
	char path[PATH_SIZE * 2];
	struct buf with_root, with_transcript;
	enum status status;

	buf_init(&with_root, FILE_MAX);
	buf_init(&with_transcript, FILE_MAX);
	status = replace(text, "@ROOT@", setting->repository, &with_root);
	snprintf(path, sizeof path, "%s/%s.jsonl", setting->transcripts, session);
	if (status == OK)
		status = replace(with_root.data, "@TRANSCRIPT@", path, &with_transcript);
	snprintf(path, sizeof path, "%s/%s/subagents", setting->transcripts, session);
	if (status == OK)
		status = replace(with_transcript.data, "@SUBAGENTS@", path, out);
	buf_release(&with_root);
	buf_release(&with_transcript);
	return status;
}

static enum status
read_line(const struct setting *setting, char *text, json_t **out, struct buf *why)
{
	json_t *line = NULL;
	struct buf filled;
	bool status_line;
	enum status status;

	buf_init(&filled, FILE_MAX);
	status = json_parse(text, strlen(text), &line, why);
	if (status == OK)
		status = fill_in(setting, json_text(line_payload(line, &status_line), "session_id", ""), text, &filled);
	json_decref(line);
	if (status == OK)
		status = json_parse(filled.data, filled.len, out, why);
	buf_release(&filled);
	return status;
}

static enum status
add_lines(const struct setting *setting, char *text, struct stream *stream, struct buf *why)
{
	enum status status = OK;

	stream->lines = calloc(LINES_MAX, sizeof(json_t *));
	if (stream->lines == NULL)
		return why_not(why, NO_MEMORY, "out of memory");
	while (*text != '\0' && status == OK) {
		char *end = strchrnul(text, '\n');
		bool last = *end == '\0';

		*end = '\0';
		if (stream->count == LINES_MAX)
			return why_not(why, BAD_INPUT, "a recording of more than %d lines", LINES_MAX);
		if (*text != '\0')
			status = read_line(setting, text, &stream->lines[stream->count], why);
		stream->count += *text != '\0' && status == OK;
		text = last ? end : end + 1;
	}
	return status;
}

static enum status
read_stream(const struct setting *setting, const char *fixtures, struct stream *stream, struct buf *why)
{
	char path[PATH_SIZE];
	struct buf text;
	enum status status = paths_join(path, sizeof path, fixtures, json_text(stream->expected, "file", ""));

	buf_init(&text, FILE_MAX);
	if (status == OK)
		status = file_read(path, &text, why);
	if (status == OK)
		status = add_lines(setting, text.data, stream, why);
	buf_release(&text);
	return status;
}

enum status
streams_read(struct replay *replay, const char *fixtures, struct buf *why)
{
	static const char *const names[STREAMS_MAX] = {"1", "2",  "3",  "4",  "5",  "6",  "7",  "8",
	                                               "9", "10", "11", "12", "13", "14", "15", "16"};
	char path[PATH_SIZE];
	struct buf text;
	const json_t *sessions;
	enum status status = paths_join(path, sizeof path, fixtures, "expected.json");

	buf_init(&text, FILE_MAX);
	if (status == OK)
		status = file_read(path, &text, why);
	if (status == OK)
		status = json_parse(text.data, text.len, &replay->expected, why);
	buf_release(&text);
	sessions = status == OK ? json_object_get(replay->expected, "sessions") : NULL;
	if (status == OK && (json_array_size(sessions) == 0 || json_array_size(sessions) > STREAMS_MAX))
		return why_not(why, BAD_INPUT, "%s: 1 to %d sessions", path, STREAMS_MAX);
	for (size_t i = 0; status == OK && i < json_array_size(sessions); i++) {
		struct stream *stream = &replay->streams[replay->count++];

		*stream = (struct stream){.name = names[i], .expected = json_array_get(sessions, i)};
		status = read_stream(&replay->setting, fixtures, stream, why);
	}
	return status;
}

void
streams_release(struct replay *replay)
{
	for (size_t i = 0; i < replay->count; i++) {
		for (size_t j = 0; j < replay->streams[i].count; j++)
			json_decref(replay->streams[i].lines[j]);
		free(replay->streams[i].lines);
	}
	json_decref(replay->expected);
}
