#include "core/token.h"
#include "diagnose/targets.h"
#include "os/file.h"

#include <unistd.h>

/*
 * ALAI's override tokens: a hook looks whether the file is there, allows one expensive call, and removes it.  Two that look at the
 * same moment both allow.
 */
#define FILE_NAME "override-token"
#define TOKEN "override"
#define DIGEST "9f86d081884c7d65"

static enum status
prepare_file(struct race *race, struct buf *why)
{
	json_t *token = json_pack("{ss}", "reason", "once");
	enum status status = trial_write_file(race, FILE_NAME, token, why);

	snprintf(race->trial->expected, sizeof race->trial->expected, "1 consumed it");
	json_decref(token);
	return status;
}

static enum status
consume_file(struct race *race, struct buf *why)
{
	char path[PATH_SIZE];
	json_t *token;
	enum status status = trial_read_file(race, FILE_NAME, &token, why);

	if (status != OK)
		return status;
	json_decref(token);
	race->self->seen = 1;
	status = trial_meet(race, why);
	if (status == OK && paths_join(path, sizeof path, race->trial->folder, FILE_NAME) == OK)
		/* as `rm -f` does: that it is gone already is no error */
		unlink(path);
	return status;
}

static enum status
look(struct race *race, struct buf *why)
{
	unsigned consumed = 0;

	(void)why;
	for (unsigned i = 0; i < race->trial->writers; i++)
		consumed += race->trial->shared->writers[i].seen == 1;
	trial_one_may(race, consumed, "consumed it");
	return OK;
}

static enum status
issue(struct race *race, const char *scope, const char *digest, struct buf *why)
{
	struct token_ask ask = {.name = TOKEN, .scope = scope, .digest = digest, .session = "", .ttl_ms = 600000};
	struct token token;

	snprintf(race->trial->expected, sizeof race->trial->expected, "1 consumed it");
	return token_issue(race->txn, &ask, &token, why);
}

static enum status
consume(struct race *race, const char *scope, const char *digest, struct buf *why)
{
	struct token_ask ask = {.name = TOKEN, .scope = scope, .digest = digest};
	struct session own;
	struct token token;
	const char *word;
	enum status status = trial_own_session(race, ARRIVAL_EVENT, &own, why);

	if (status == OK)
		status = trial_meet(race, why);
	if (status != OK)
		return status;
	ask.session = own.id;
	status = token_consume(race->txn, &ask, &token, &word, why);
	race->self->seen = status == OK;
	/* told that it was consumed, and by whom: that is the right answer */
	return status == HELD && token.consumer[0] != '\0' ? OK : status;
}

static enum status
issue_opus(struct race *race, struct buf *why)
{
	return issue(race, "opus", "", why);
}

static enum status
consume_opus(struct race *race, struct buf *why)
{
	return consume(race, "opus", "", why);
}

static enum status
issue_bash(struct race *race, struct buf *why)
{
	return issue(race, "bash", DIGEST, why);
}

static enum status
consume_bash(struct race *race, struct buf *why)
{
	return consume(race, "bash", DIGEST, why);
}

const struct target target_token_opus = {
	"token-opus",
	{.prepare = prepare_file, .write = consume_file, .look = look},
	{.prepare = issue_opus, .write = consume_opus, .look = look},
};

const struct target target_token_bash = {
	"token-bash",
	{.prepare = prepare_file, .write = consume_file, .look = look},
	{.prepare = issue_bash, .write = consume_bash, .look = look},
};
