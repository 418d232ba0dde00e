#include "base/str.h"
#include "db/postgres_reach.h"
#include "db/postgres_store.h"
#include "os/clock.h"
#include "os/file.h"

#include <unistd.h>

#define NOTE_MAX ((size_t)4 << 10)
#define NOTE_LINES 4

/* A line each: the boot, the instant by its clock, the servers, what was wrong. */
void
postgres_away_note(const struct postgres *store, const char *places, const struct buf *why)
{
	char boot[BOOT_MAX];
	struct buf text;

	if (store->away == NULL || why == NULL || clock_boot_name(boot) != OK)
		return;
	buf_init(&text, NOTE_MAX);
	buf_printf(&text, "%s\n%lld\n%s\n%s\n", boot, (long long)clock_boot_ms(), places, why->data);
	/* of two that write at once either may stand, and one that can't be kept costs the next hook what it cost this one */
	(void)(buf_status(&text) == OK && file_replace(store->away, text.data, text.len, 0600, NULL) == OK);
	buf_release(&text);
}

void
postgres_away_silent(const struct postgres *store)
{
	struct postgres_target target;
	struct buf why;

	buf_init(&why, WHY_MAX);
	if (postgres_lost(store, "", "", &why) == STORE_DOWN && postgres_target(&target, store, NULL) == OK) {
		postgres_away_note(store, target.places, &why);
		postgres_target_release(&target);
	}
	buf_release(&why);
}

void
postgres_away_forget(const struct postgres *store)
{
	if (store->away != NULL)
		unlink(store->away);
}

/* Cuts `text` at its line ends; false unless there are as many lines as there must be. */
static bool
cut(char *text, const char *lines[NOTE_LINES])
{
	for (size_t i = 0; i < NOTE_LINES; i++) {
		char *end = strchr(text, '\n');

		if (end == NULL)
			return false;
		*end = '\0';
		lines[i] = text;
		text = end + 1;
	}
	return *text == '\0';
}

enum status
postgres_away_check(const struct postgres *store, const char *places, struct buf *why)
{
	const char *lines[NOTE_LINES];
	char boot[BOOT_MAX], since[40];
	int64_t at_ms, age_ms = -1;
	enum status status = OK;
	struct buf text;

	if (store->away == NULL || clock_boot_name(boot) != OK)
		return OK;
	buf_init(&text, NOTE_MAX);
	if (file_read(store->away, &text, NULL) == OK && cut(text.data, lines) && str_equal(lines[0], boot) &&
	    str_integer(lines[1], 0, INT64_MAX, &at_ms) == OK && str_equal(lines[2], places))
		age_ms = clock_boot_ms() - at_ms;
	if (age_ms >= 0 && age_ms < POSTGRES_AWAY_MS) {
		str_instant(since, sizeof since, clock_wall_ms() - age_ms);
		status = why_not(why, STORE_DOWN,
		                 "%s (since %s, so no hook tries again for another %lld ms; `stile status` does at once)", lines[3],
		                 since, (long long)(POSTGRES_AWAY_MS - age_ms));
	}
	buf_release(&text);
	return status;
}
