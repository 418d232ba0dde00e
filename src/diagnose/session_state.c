#include "core/metric.h"
#include "diagnose/targets.h"

/*
 * Tractatus' session-state.json: one file for all sessions, read, changed and written back by each.  Beside the one that is
 * there with 18 messages and 32,000 tokens every writer is a session with 42 and 85,000, the numbers of the study; what all
 * of them then read is 60 and 117,000.
 */
#define FILE_NAME "session-state.json"
#define BUDGET 200000
#define FIRST "first"
#define FIRST_MESSAGES 18
#define FIRST_TOKENS 32000
#define MESSAGES 42
#define TOKENS 85000

static void
describe(char out[TRIAL_TEXT], int64_t own, int64_t sum)
{
	snprintf(out, TRIAL_TEXT, "%lld own, sum %lld", (long long)own, (long long)sum);
}

static int64_t
sum_of_all(const struct trial *trial)
{
	return FIRST_MESSAGES + (int64_t)trial->writers * MESSAGES;
}

static void
expect(struct trial *trial)
{
	describe(trial->expected, trial->writers + 1, sum_of_all(trial));
}

static void
compare(struct race *race, int64_t own, int64_t sum)
{
	struct finding *finding = race->finding;

	finding->wanted = race->trial->writers + 1;
	finding->kept = own;
	finding->strange = sum > sum_of_all(race->trial);
	describe(finding->found, own, sum);
}

static enum status
prepare_file(struct race *race, struct buf *why)
{
	json_t *state = json_pack("{ss ss si si si s{si si si si}}", "session_id", "2025-10-07-001", "created_at",
	                          "2025-10-07T12:00:00Z", "token_budget", BUDGET, "messages", FIRST_MESSAGES, "tokens_used",
	                          FIRST_TOKENS, "framework_activity", "pressure_checks", 3, "instructions_added", 2,
	                          "validations_run", 15, "boundary_enforcements", 1);
	enum status status = trial_write_file(race, FILE_NAME, state, why);

	expect(race->trial);
	json_decref(state);
	return status;
}

static enum status
write_file(struct race *race, struct buf *why)
{
	json_t *state;
	enum status status = trial_read_file(race, FILE_NAME, &state, why);

	if (status != OK)
		return status;
	race->self->seen = json_whole(state, "messages", 0);
	json_object_set_new(state, "messages", json_integer(race->self->seen + MESSAGES));
	json_object_set_new(state, "tokens_used", json_integer(json_whole(state, "tokens_used", 0) + TOKENS));
	status = trial_meet(race, why);
	if (status == OK)
		status = trial_write_file(race, FILE_NAME, state, why);
	json_decref(state);
	return status;
}

/* Every session reads the one file there is, and takes what it says for its own. */
static enum status
look_at_file(struct race *race, struct buf *why)
{
	int64_t messages, tokens, own = 0;
	json_t *state;
	enum status status = trial_read_file(race, FILE_NAME, &state, why);

	if (status != OK)
		return status;
	messages = json_whole(state, "messages", 0);
	tokens = json_whole(state, "tokens_used", 0);
	own += messages == FIRST_MESSAGES && tokens == FIRST_TOKENS;
	for (unsigned i = 0; i < race->trial->writers; i++)
		own += messages == MESSAGES && tokens == TOKENS;
	compare(race, own, messages);
	json_decref(state);
	return OK;
}

static void
count(struct race *race, const struct session *session, double messages, double tokens)
{
	metric_add(race->txn, session->id, "messages", messages);
	metric_set(race->txn, session->id, "context_tokens", tokens);
}

static enum status
prepare_session(struct race *race, struct buf *why)
{
	struct session first;
	enum status status = trial_session(race, FIRST, ARRIVAL_STARTUP, &first, why);

	expect(race->trial);
	if (status == OK)
		count(race, &first, FIRST_MESSAGES, FIRST_TOKENS);
	return status;
}

static enum status
count_session(struct race *race, struct buf *why)
{
	struct metric_values values;
	struct session own;
	enum status status = trial_own_session(race, ARRIVAL_STARTUP, &own, why);

	if (status == OK)
		status = metric_load(race->txn, own.id, &values, why);
	if (status != OK)
		return status;
	race->self->seen = (int64_t)metric_life(&values, "messages");
	metric_values_release(&values);
	status = trial_meet(race, why);
	if (status == OK)
		count(race, &own, MESSAGES, TOKENS);
	return status;
}

static enum status
add_own(struct race *race, const struct session *session, int64_t *own, int64_t *sum, struct buf *why)
{
	bool first = str_equal(session->client_session, FIRST);
	struct metric_values values;
	int64_t messages, tokens;
	enum status status = metric_load(race->txn, session->id, &values, why);

	if (status != OK)
		return status;
	messages = (int64_t)metric_life(&values, "messages");
	tokens = (int64_t)metric_now(&values, "context_tokens");
	*own += messages == (first ? FIRST_MESSAGES : MESSAGES) && tokens == (first ? FIRST_TOKENS : TOKENS);
	*sum += messages;
	metric_values_release(&values);
	return OK;
}

static enum status
look_at_sessions(struct race *race, struct buf *why)
{
	struct session_list there;
	int64_t own = 0, sum = 0;
	enum status status = session_list(race->txn, true, &there, why);

	if (status != OK)
		return status;
	for (size_t i = 0; i < there.count && status == OK; i++)
		status = add_own(race, &there.items[i], &own, &sum, why);
	session_list_release(&there);
	if (status == OK)
		compare(race, own, sum);
	return status;
}

const struct target target_session_state = {
	"session-state",
	{.prepare = prepare_file, .write = write_file, .look = look_at_file},
	{.prepare = prepare_session, .write = count_session, .look = look_at_sessions},
};
