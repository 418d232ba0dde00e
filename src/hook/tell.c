#include "hook/tell.h"

#define PEERS_TOLD 5
#define VALUE_MAX 120 /* bytes of a parameter or a value in one line about a contradiction */

void
tell_peers(const struct event_answer *answer, struct buf *out)
{
	const struct session_list *others = &answer->arrived.others;
	char ago[24];

	buf_printf(out, "Stile: you are session %s on this codebase.", answer->arrived.session.id);
	if (others->count == 0) {
		buf_text(out, " No other agent session is live here.");
		return;
	}
	buf_printf(out, " %zu other agent session%s live here and may change the same files:", others->count,
	           others->count == 1 ? " is" : "s are");
	for (size_t i = 0; i < others->count && i < PEERS_TOLD; i++) {
		const struct session *peer = &others->items[i];

		str_ago(ago, sizeof ago, answer->at_ms - peer->event_ms);
		buf_printf(out, "\n- %s %s: %s, last seen %s ago, in %.120s%s%s", peer->client, peer->id,
		           session_state_name(peer->state), ago, peer->cwd, peer->branch[0] == '\0' ? "" : " on branch ", peer->branch);
	}
	if (others->count > PEERS_TOLD)
		buf_printf(out, "\n- and %zu more; `stile status` lists them", others->count - PEERS_TOLD);
}

void
tell_refusal(const struct event *event, const char *why, struct hook_answer *out)
{
	out->deny = event->kind != EVENT_START;
	buf_printf(&out->reason, "stile: %s", why);
	if (out->deny)
		return;
	buf_printf(&out->to_model, "%sStile: your prompts and tools are blocked for now: %s", out->to_model.len > 0 ? "\n" : "",
	           why);
	buf_printf(&out->to_person, "stile: %s", why);
}

void
tell_checkpoints(const struct event_answer *answer, struct hook_answer *out)
{
	for (size_t i = 0; i < answer->told.count; i++) {
		const struct checkpoint *one = &answer->told.items[i];

		buf_printf(&out->to_model, "%sStile: context checkpoint %lld %%: %lld of %lld tokens in use.",
		           out->to_model.len > 0 ? "\n" : "", (long long)one->percent, (long long)one->tokens, (long long)one->budget);
		buf_printf(&out->to_person, "%sstile: context checkpoint %lld %% (%lld of %lld tokens)",
		           out->to_person.len > 0 ? "; " : "", (long long)one->percent, (long long)one->tokens, (long long)one->budget);
	}
}

void
tell_dropped(const struct event *event, const struct event_answer *answer, struct buf *out)
{
	buf_printf(out, "%sstile: not kept in the queue %s: %s (told once; each is counted, see `stile queue stats`)",
	           out->len > 0 ? "; " : "", event->keep.queue, answer->dropped);
}

static bool
is_plain(const char *text)
{
	return text[strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.")] == '\0';
}

/*
 * A word that somebody chose: ids, too, come out of files.  One that could be read as words of ours stands in quotes, and what is
 * over `max` bytes is cut.
 */
static void
add_word(struct buf *out, size_t max, const char *text)
{
	char word[ID_MAX + 1];

	str_one_line(word, max < sizeof word ? max + 1 : sizeof word, text);
	if (is_plain(text))
		buf_text(out, word);
	else
		json_write_text(out, word);
	if (strlen(word) < strlen(text))
		buf_text(out, "...");
}

/* One instruction on a line of its own.  A text over `room` is not cut but named with its length. */
static void
add_instruction(const struct instruction *one, bool changes, const char *self, size_t room, struct buf *out)
{
	char *line = malloc(INSTRUCTION_TEXT_MAX + 1);
	size_t len = strlen(one->text);

	/* the author stands before every word that an author chose */
	buf_text(out, "\n- ");
	add_word(out, ID_MAX, one->id);
	buf_printf(out, " by %s (", str_equal(one->session, self) ? "you" : one->actor);
	add_word(out, LABEL_MAX, one->persistence);
	buf_printf(out, "%spriority %lld%s)", *one->persistence == '\0' ? "" : ", ", (long long)one->priority,
	           !changes            ? ""
	           : !one->active      ? ", retired"
	           : one->version == 1 ? ", new"
	                               : ", changed");
	if (!one->active) {
		buf_text(out, ": it holds no longer");
	} else if (line == NULL || len > room) {
		buf_printf(out, ": %zu bytes, read it with `stile instruction show%s%s`", len, is_plain(one->id) ? " " : "",
		           is_plain(one->id) ? one->id : "");
	} else {
		str_one_line(line, INSTRUCTION_TEXT_MAX + 1, one->text);
		buf_printf(out, ": %s", line);
	}
	free(line);
}

/* Adds as many as there is room for; how many. */
static size_t
add_instructions(const struct instruction_news *news, const char *self, int64_t bytes, struct buf *out)
{
	size_t room = (size_t)bytes, told = 0, from;

	for (; told < news->list.count && room > 0; told++) {
		from = out->len;
		add_instruction(&news->list.items[told], news->changes, self, room, out);
		room -= out->len - from < room ? out->len - from : room;
	}
	return told;
}

static void
add_conflict(const struct instruction_news *news, struct buf *out)
{
	buf_printf(out, "\nStile: %lld contradiction%s among the instructions (`stile instruction conflicts`); the newest: ",
	           (long long)news->conflicts, news->conflicts == 1 ? "" : "s");
	add_word(out, ID_MAX, news->conflict.chosen);
	buf_text(out, " sets ");
	add_word(out, VALUE_MAX, news->conflict.parameter);
	buf_text(out, " to ");
	add_word(out, VALUE_MAX, news->conflict.chosen_value);
	buf_text(out, ", ");
	add_word(out, ID_MAX, news->conflict.other);
	buf_text(out, " to ");
	add_word(out, VALUE_MAX, news->conflict.other_value);
	buf_text(out, "; ");
	add_word(out, ID_MAX, news->conflict.chosen);
	buf_printf(out, " holds, %s", str_equal(news->conflict.decided_by, "priority") ? "its priority is higher" : "it is older");
}

void
tell_instructions(const struct config *config, const struct event_answer *answer, struct buf *out)
{
	const struct instruction_news *news = &answer->news;
	int64_t count, bytes, more;

	if ((news->list.count == 0 && news->more <= 0 && news->conflicts == 0) ||
	    instruction_config(config, &count, &bytes, NULL) != OK)
		return;
	if (out->len > 0)
		buf_text(out, "\n");
	if (news->changes)
		buf_text(out, "Stile: the instructions of this codebase have changed:");
	else
		buf_printf(out,
		           "Stile: %lld instruction%s for every session on this codebase, each written by the person (uid) or agent "
		           "session"
		           " that is named:",
		           (long long)news->more + (long long)news->list.count, news->list.count + (size_t)news->more == 1 ? "" : "s");
	more = news->more + (int64_t)news->list.count;
	more -= (int64_t)add_instructions(news, answer->arrived.session.id, bytes, out);
	if (more > 0)
		buf_printf(out, "\n- and %lld more; `stile instruction list` shows them", (long long)more);
	if (news->conflicts > 0)
		add_conflict(news, out);
}
