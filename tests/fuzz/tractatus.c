/*
 * Any bytes as one of Tractatus' files: a history that is taken gives back, written and read again, the same; a merge of it with
 * itself has nothing to do, and one with nothing adds every entry; a state is taken or refused.
 */
#include "fuzz/fuzz.h"
#include "legacy/tractatus_history.h"
#include "legacy/tractatus_merge.h"
#include "legacy/tractatus_state.h"

static void
check_merges(const struct history *history)
{
	struct merge merge;

	must(merge_three(history->entries, history->entries, history->entries, true, &merge) == OK && merge.count == 0);
	merge_release(&merge);
	must(merge_three(NULL, NULL, history->entries, true, &merge) == OK && merge.count == json_array_size(history->entries));
	merge_release(&merge);
}

static void
check_way_back(const struct history *history)
{
	struct history again;
	struct buf text;

	buf_init(&text, (size_t)4 << 20);
	history_render(history, &text);
	must(buf_status(&text) == OK);
	must(history_parse(text.data, text.len, &again, NULL) == OK);
	must(json_equal(history->entries, again.entries) && again.epoch == history->epoch);
	must(history->top == NULL ? again.top == NULL : json_equal(history->top, again.top));
	history_release(&again);
	buf_release(&text);
}

static void
check_state(const char *text, size_t size)
{
	json_t *document = json_loadb(text, size, JSON_ALLOW_NUL, NULL);
	struct state_read out;

	if (document != NULL && state_read(document, NULL, &out, NULL) == OK)
		must(out.metric_count <= STATE_METRICS);
	if (document != NULL && state_read(NULL, document, &out, NULL) == OK)
		must(out.checkpoints.count <= CHECKPOINTS_MAX);
	json_decref(document);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct history history;
	char *copy;

	if (size > 65536)
		return 0;
	copy = malloc(size + 1);
	memcpy(copy, data, size);
	copy[size] = '\0';
	check_state(copy, size);
	if (history_parse(copy, size, &history, NULL) == OK) {
		check_merges(&history);
		check_way_back(&history);
		history_release(&history);
	}
	free(copy);
	return 0;
}
