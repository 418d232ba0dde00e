#include "verbs/published.h"

#include "os/command.h"
#include "os/file.h"

#include <unistd.h>

#define NOTES "stile"
#define NOTES_MAX ((size_t)8 << 20)
#define GIT_LIMIT_MS 20000
#define WORDS_MAX 12
#define RECORD '\x1e' /* before the note of each commit */

enum status
published_file(const char *path, const char *ledger, struct ledger_head *out, struct buf *why)
{
	struct buf text;
	enum status status;

	buf_init(&text, LEDGER_SIGNED_MAX);
	status = file_read(path, &text, why);
	if (status == OK)
		status = ledger_head_read(text.data, text.len, path, out, why);
	if (status == OK && !str_equal(out->ledger, ledger))
		status = why_not(why, BAD_INPUT, "%s: that is a head of the ledger %s, not of %s", path, out->ledger, ledger);
	buf_release(&text);
	return status;
}

enum status
publish_file(const char *path, const struct ledger_head *head, struct buf *why)
{
	char text[LEDGER_SIGNED_MAX + 1];
	size_t len;

	ledger_head_write(head, text);
	len = strlen(text);
	text[len++] = '\n';
	return file_replace(path, text, len, 0666, why);
}

static enum status
find_git(char out[PATH_SIZE], struct buf *why)
{
	const char *path = getenv("PATH");

	for (const char *at = path == NULL ? "" : path; *at != '\0';) {
		size_t len = strcspn(at, ":");
		int size = snprintf(out, PATH_SIZE, "%.*s/git", (int)len, at);

		/* a relative folder of PATH is whoever's we stand in */
		if (*at == '/' && size < PATH_SIZE && access(out, X_OK) == 0)
			return OK;
		at += len + (at[len] == ':');
	}
	return why_not(why, IO_FAILED, "there is no git in PATH");
}

/* `git WORD...` in the codebase's folder; what it says is the caller's to release. */
static enum status
run_git(const struct context *context, const char *const words[], struct command_result *result, struct buf *why)
{
	char git[PATH_SIZE], line[200];
	char *argv[WORDS_MAX + 4] = {git, (char[]){"-C"}, (char *)(uintptr_t)context->place.root};
	enum status status = find_git(git, why);

	for (size_t i = 0; words[i] != NULL && i < WORDS_MAX; i++)
		argv[i + 3] = (char *)(uintptr_t)words[i];
	buf_init(&result->out, NOTES_MAX);
	buf_init(&result->err, 4096);
	if (status == OK)
		status = command_run(argv, "", GIT_LIMIT_MS, result, why);
	if (status == OK && result->exit != 0) {
		str_one_line(line, sizeof line, result->err.data);
		status = why_not(why, IO_FAILED, "git %s: %s", words[0], line);
	}
	return status;
}

/* The last of that ledger's in one commit's note. */
static bool
in_note(const char *text, size_t len, const char *ledger, struct ledger_head *out)
{
	bool found = false;

	for (const char *end = text + len; text < end;) {
		const char *newline = memchr(text, '\n', (size_t)(end - text));
		size_t line = newline == NULL ? (size_t)(end - text) : (size_t)(newline - text);
		struct ledger_head head;

		if (line > 0 && ledger_head_read(text, line, "the note", &head, NULL) == OK && str_equal(head.ledger, ledger)) {
			*out = head;
			found = true;
		}
		text += line + 1;
	}
	return found;
}

enum status
published_note(const struct context *context, const char *ledger, struct ledger_head *out, struct buf *why)
{
	static const char *const words[] = {"log", "-1000", "--notes=" NOTES, "--format=%x1e%N", "HEAD", NULL};
	struct command_result result;
	enum status status = run_git(context, words, &result, why);
	bool found = false;

	for (const char *at = result.out.data; status == OK && !found && (at = strchr(at, RECORD)) != NULL;) {
		size_t len = strcspn(++at, "\x1e");

		found = in_note(at, len, ledger, out);
		at += len;
	}
	buf_release(&result.out);
	buf_release(&result.err);
	if (status == OK && !found)
		return why_not(why, NO_SUCH, "no head of %s is in the notes of git's last 1000 commits (refs/notes/" NOTES ")", ledger);
	return status;
}

enum status
publish_note(const struct context *context, const struct ledger_head *head, struct buf *why)
{
	char text[LEDGER_SIGNED_MAX];
	const char *const words[] = {"notes", "--ref=" NOTES, "append", "-m", text, "HEAD", NULL};
	struct command_result result;
	enum status status;

	ledger_head_write(head, text);
	status = run_git(context, words, &result, why);
	buf_release(&result.out);
	buf_release(&result.err);
	return status;
}
