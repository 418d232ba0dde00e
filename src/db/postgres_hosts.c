#include "base/str.h"
#include "db/postgres_lookup.h"
#include "db/postgres_reach.h"
#include "db/postgres_store.h"
#include "os/clock.h"

#include <poll.h>

#define KEYWORDS_MAX 64
#define HOSTS_MAX LOOKUPS_MAX
#define ELEMENT_SIZE LOOKUP_NAME_SIZE
#define SAID_MAX (WHY_MAX / 2)

/* What libpq is told besides the address, unless that says it itself. */
static const struct {
	const char *keyword;
	const char *value;
} ours[] = {
	{"fallback_application_name", "stile"},
	{"client_encoding", "UTF8"},
	{"tcp_user_timeout", "10000"},
};

/* The keywords that are lists, one element a host; what the address leaves out comes from the environment, as with libpq. */
enum { HOST, HOSTADDR, PORT, LISTS };
static const struct {
	const char *keyword;
	const char *environment;
} lists[LISTS] = {{"host", "PGHOST"}, {"hostaddr", "PGHOSTADDR"}, {"port", "PGPORT"}};

static const char *
find_option(const PQconninfoOption *options, const char *keyword)
{
	for (; options->keyword != NULL; options++)
		if (str_equal(options->keyword, keyword))
			return options->val;
	return NULL;
}

static const char *
list_of(const struct postgres_target *target, size_t which)
{
	const char *list = find_option(target->options, lists[which].keyword);

	if (list == NULL && find_option(target->options, "service") == NULL)
		list = getenv(lists[which].environment);
	return list == NULL ? "" : list;
}

static size_t
elements_of(const char *list)
{
	size_t count = *list != '\0';

	for (; *list != '\0'; list++)
		count += *list == ',';
	return count;
}

/* Of a list of one every host has that one. */
static bool
element(const char *list, size_t n, char out[ELEMENT_SIZE])
{
	if (elements_of(list) == 1)
		n = 0;
	for (; n > 0 && *list != '\0'; n--)
		list += strcspn(list, ",") + 1;
	return snprintf(out, ELEMENT_SIZE, "%.*s", (int)strcspn(list, ","), list) < ELEMENT_SIZE;
}

enum status
postgres_target(struct postgres_target *target, const struct postgres *store, struct buf *why)
{
	char *wrong = NULL;
	const char *timeout;
	int64_t seconds;

	*target = (struct postgres_target){.options = PQconninfoParse(store->url, &wrong), .limit_ms = POSTGRES_CONNECT_MS};
	/* what libpq says of an address quotes it, password and all */
	PQfreemem(wrong);
	if (target->options == NULL)
		return why_not(why, BAD_CONFIG, "STILE_STORE: %s... is no address that libpq understands", store->name);
	timeout = find_option(target->options, "connect_timeout");
	if (timeout != NULL && str_integer(timeout, 1, 3600, &seconds) == OK)
		target->limit_ms = seconds * 1000;
	snprintf(target->places, sizeof target->places, "%.200s %.200s %.150s", list_of(target, HOST), list_of(target, HOSTADDR),
	         list_of(target, PORT));
	return OK;
}

void
postgres_target_release(struct postgres_target *target)
{
	PQconninfoFree(target->options);
}

/* How many hosts there are; each list has one element for each of them, or one for all. */
static enum status
count_hosts(const struct postgres_target *target, const struct postgres *store, size_t *out, struct buf *why)
{
	size_t count = 1;

	for (size_t i = 0; i < LISTS; i++)
		if (elements_of(list_of(target, i)) > count)
			count = elements_of(list_of(target, i));
	for (size_t i = 0; i < LISTS; i++) {
		size_t has = elements_of(list_of(target, i));

		if (count > HOSTS_MAX || (has != count && has > (i == PORT)))
			return why_not(why, BAD_CONFIG, "STILE_STORE: %s: as many ports as hosts, or one, and at most %d hosts",
			               store->name, HOSTS_MAX);
	}
	*out = count;
	return OK;
}

struct keywords {
	const char *names[KEYWORDS_MAX];
	const char *values[KEYWORDS_MAX];
	size_t count;
};

static void
add_keyword(struct keywords *keywords, const char *name, const char *value)
{
	if (keywords->count + 1 < KEYWORDS_MAX) {
		keywords->names[keywords->count] = name;
		keywords->values[keywords->count++] = value;
	}
}

static bool
is_list(const char *keyword)
{
	for (size_t i = 0; i < LISTS; i++)
		if (str_equal(lists[i].keyword, keyword))
			return true;
	return false;
}

/* One host's connection, on its way. */
struct attempt {
	PGconn *conn;
	PostgresPollingStatusType next;
	int64_t until_ms;
	char host[ELEMENT_SIZE];
};

/*
 * libpq tries one host after another, and has no limit for each when it doesn't block: one that swallows what is sent to it would
 * take all the time there is.  So each host has a connection of its own; the next is begun when the one before has failed, or
 * not answered within POSTGRES_STAGGER_MS, and the first that is good is taken.
 */
struct race {
	struct attempt attempts[HOSTS_MAX];
	size_t count;
	size_t begun;
	int64_t next_ms;      /* when the next is begun */
	bool late[HOSTS_MAX]; /* its name was not looked up in time, and isn't again */
	struct buf said;      /* by those that failed */
	char state[6];        /* the SQLSTATE with which the last of them was first refused; "" */
	bool advised;         /* what was said last says what to do, too */
};

/* Before there is a transaction no notice is about one; libpq would write it to stderr. */
static void
hear_nothing(void *data, const PGresult *result)
{
	(void)data;
	(void)result;
}

static bool
start_one(struct race *race, const struct postgres_target *target, int64_t until_ms)
{
	struct attempt *attempt = &race->attempts[race->begun];
	char elements[LISTS][ELEMENT_SIZE];
	struct keywords keywords = {0};

	for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
		add_keyword(&keywords, ours[i].keyword, ours[i].value);
	/* what comes later counts */
	for (const PQconninfoOption *option = target->options; option->keyword != NULL; option++)
		if (option->val != NULL && !str_equal(option->keyword, "client_encoding") && !is_list(option->keyword))
			add_keyword(&keywords, option->keyword, option->val);
	for (size_t i = 0; i < LISTS; i++)
		if (element(list_of(target, i), race->begun, elements[i]) && elements[i][0] != '\0')
			add_keyword(&keywords, lists[i].keyword, elements[i]);
	race->begun++;
	race->next_ms = clock_boot_ms() + POSTGRES_STAGGER_MS;
	*attempt = (struct attempt){.conn = PQconnectStartParams(keywords.names, keywords.values, 0),
	                            .next = PGRES_POLLING_WRITING};
	if (attempt->conn == NULL)
		return false;
	snprintf(attempt->host, sizeof attempt->host, "%s", elements[HOST][0] == '\0' ? elements[HOSTADDR] : elements[HOST]);
	attempt->until_ms = clock_boot_ms() + target->limit_ms;
	if (until_ms != 0 && until_ms < attempt->until_ms)
		attempt->until_ms = until_ms;
	/* the SQLSTATE of a refusal is told in no other way */
	PQsetErrorVerbosity(attempt->conn, PQERRORS_VERBOSE);
	PQsetNoticeReceiver(attempt->conn, hear_nothing, NULL);
	return true;
}

/* Who names an address needs none. */
static void
look_up_all(struct race *race, const struct postgres_target *target, int64_t limit_ms)
{
	char names[HOSTS_MAX][ELEMENT_SIZE], address[ELEMENT_SIZE];

	for (size_t i = 0; i < race->count; i++)
		if ((element(list_of(target, HOSTADDR), i, address) && *address != '\0') ||
		    !element(list_of(target, HOST), i, names[i]))
			names[i][0] = '\0';
	postgres_look_up(names, race->count, limit_ms, POSTGRES_STAGGER_MS, race->late);
}

static void
pass_over(struct race *race, const struct postgres_target *target)
{
	char name[ELEMENT_SIZE] = "";

	element(list_of(target, HOST), race->begun++, name);
	buf_printf(&race->said, "%sthe name %s was not looked up in time; is the network there?", race->said.len > 0 ? "; " : "",
	           name);
	race->advised = true;
}

static bool
is_state(const char *text)
{
	for (size_t i = 0; i < 5; i++)
		if (!((text[i] >= '0' && text[i] <= '9') || (text[i] >= 'A' && text[i] <= 'Z')))
			return false;
	return text[5] == ':' && text[6] == ' ';
}

/* What libpq says verbosely, less what is for itself: "FATAL:  57P03: text", and a line that says where in the server. */
static void
add_said(struct postgres *store, const char *text, struct race *race)
{
	for (size_t len; *text != '\0'; text += len + (text[len] == '\n')) {
		len = strcspn(text, "\n");
		if (str_starts(text, "LOCATION:"))
			continue;
		for (size_t i = 0; i < len; i++)
			if (i >= 3 && str_starts(text + i - 3, ":  ") && is_state(text + i)) {
				/* without TLS it is often refused for that alone, after what matters */
				if (race->state[0] == '\0')
					snprintf(race->state, sizeof race->state, "%.5s", text + i);
				store->again |= str_starts(text + i, "57P03");
				i += strlen("57P03: ") - 1;
			} else {
				buf_add(&race->said, text + i, 1);
			}
		buf_text(&race->said, " ");
	}
}

/* An attempt has failed; what it says, else what its connection says, is kept. */
static void
fail(struct postgres *store, struct race *race, struct attempt *attempt, const struct buf *own)
{
	race->advised = own->len > 0 && attempt->next == PGRES_POLLING_OK;
	if (race->said.len > 0)
		buf_text(&race->said, "; ");
	if (race->count > 1 && own->len > 0)
		buf_printf(&race->said, "%s: ", attempt->host);
	race->state[0] = '\0';
	if (own->len > 0)
		buf_text(&race->said, own->data);
	else
		add_said(store, PQerrorMessage(attempt->conn), race);
	PQfinish(attempt->conn);
	attempt->conn = NULL;
	race->next_ms = 0;
}

/* Looks at one that something has happened to.  Whether it is the one. */
static bool
go_on(struct postgres *store, struct race *race, struct attempt *attempt)
{
	struct buf own;
	bool good = false;

	buf_init(&own, SAID_MAX);
	if (PQstatus(attempt->conn) != CONNECTION_BAD)
		attempt->next = PQconnectPoll(attempt->conn);
	if (attempt->next == PGRES_POLLING_OK)
		good = postgres_suits(attempt->conn, &own);
	if (!good && (attempt->next == PGRES_POLLING_OK || attempt->next == PGRES_POLLING_FAILED ||
	              PQstatus(attempt->conn) == CONNECTION_BAD))
		fail(store, race, attempt, &own);
	buf_release(&own);
	return good;
}

static void
give_up_late(struct postgres *store, struct race *race, int64_t limit_ms)
{
	struct buf own;

	for (size_t i = 0; i < race->begun; i++)
		if (race->attempts[i].conn != NULL && race->attempts[i].until_ms <= clock_boot_ms()) {
			buf_init(&own, SAID_MAX);
			buf_printf(&own, "the server did not answer within %lld ms", (long long)limit_ms);
			fail(store, race, &race->attempts[i], &own);
			buf_release(&own);
		}
}

/* Waits until one of them can go on or something is due, and lets it.  The one that is good, or NULL. */
static struct attempt *
wait_for_any(struct postgres *store, struct race *race)
{
	int64_t until_ms = race->begun < race->count ? race->next_ms : INT64_MAX, left_ms;
	struct pollfd there[HOSTS_MAX];

	for (size_t i = 0; i < race->begun; i++) {
		struct attempt *attempt = &race->attempts[i];

		there[i] = (struct pollfd){.fd = attempt->conn == NULL ? -1 : PQsocket(attempt->conn),
		                           .events = attempt->next == PGRES_POLLING_READING ? POLLIN : POLLOUT};
		if (attempt->conn != NULL && PQstatus(attempt->conn) == CONNECTION_BAD)
			until_ms = 0;
		if (attempt->conn != NULL && attempt->until_ms < until_ms)
			until_ms = attempt->until_ms;
	}
	left_ms = until_ms - clock_boot_ms();
	if (poll(there, race->begun, left_ms < 0 ? 0 : left_ms > INT32_MAX ? INT32_MAX : (int)left_ms) < 0)
		return NULL;
	for (size_t i = 0; i < race->begun; i++) {
		struct attempt *attempt = &race->attempts[i];

		if (attempt->conn != NULL && (there[i].revents != 0 || PQstatus(attempt->conn) == CONNECTION_BAD) &&
		    go_on(store, race, attempt))
			return attempt;
	}
	return NULL;
}

static bool
any_left(const struct race *race)
{
	for (size_t i = 0; i < race->begun; i++)
		if (race->attempts[i].conn != NULL)
			return true;
	return race->begun < race->count;
}

static int64_t
limit_of(const struct postgres *store, const struct postgres_target *target)
{
	int64_t left_ms = store->until_boot_ms - clock_boot_ms();

	return store->until_boot_ms == 0 || left_ms > target->limit_ms ? target->limit_ms : left_ms;
}

static enum status
run_race(struct postgres *store, struct race *race, const struct postgres_target *target, PGconn **out, struct buf *why)
{
	struct attempt *good;

	look_up_all(race, target, limit_of(store, target));
	while (any_left(race)) {
		if (race->begun < race->count && race->late[race->begun]) {
			pass_over(race, target);
			continue;
		}
		if (race->begun < race->count && race->next_ms <= clock_boot_ms() && !start_one(race, target, store->until_boot_ms))
			return why_not(why, NO_MEMORY, "out of memory");
		good = wait_for_any(store, race);
		if (good != NULL) {
			PQsetErrorVerbosity(good->conn, PQERRORS_DEFAULT);
			*out = good->conn;
			good->conn = NULL;
			return OK;
		}
		give_up_late(store, race, target->limit_ms);
	}
	return race->advised ? why_not(why, STORE_DOWN, "%s: %s", store->name, race->said.data)
	                     : postgres_lost(store, race->state, race->said.data, why);
}

enum status
postgres_reach(struct postgres *store, const struct postgres_target *target, PGconn **out, struct buf *why)
{
	struct race *race = calloc(1, sizeof *race);
	enum status status;

	if (race == NULL)
		return why_not(why, NO_MEMORY, "out of memory");
	buf_init(&race->said, SAID_MAX * HOSTS_MAX);
	store->again = false;
	status = count_hosts(target, store, &race->count, why);
	if (status == OK)
		status = run_race(store, race, target, out, why);
	for (size_t i = 0; i < race->begun; i++)
		PQfinish(race->attempts[i].conn);
	buf_release(&race->said);
	free(race);
	return status;
}
