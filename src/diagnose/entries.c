#include "diagnose/entries.h"

#include "core/ledger_verify.h"

enum status
entries_append(struct race *race, const char *ledger, const char *key, const char *body, struct buf *why)
{
	struct ledger_append ask = {.ledger = ledger, .key = key, .session = "", .kind = "", .body = body, .size = strlen(body)};
	struct ledger_appended made;

	return ledger_append(race->txn, &ask, &made, why);
}

enum status
entries_look(struct race *race, const char *ledger, struct entries *out, struct buf *why)
{
	struct ledger_verify verify;
	enum status status = OK;

	*out = (struct entries){0};
	ledger_verify_init(&verify, ledger, 1);
	while (status == OK && !verify.done)
		status = ledger_verify_page(race->txn, &verify, why);
	out->there = verify.checked;
	out->broken = (int64_t)verify.break_count;
	ledger_verify_release(&verify);
	return status == NO_SUCH ? why_not(why, OK, "%s", "") : status;
}
