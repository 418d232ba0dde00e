/* How the PostgreSQL engine comes to a connection: one of several hosts, and what is remembered when there was none. */
#ifndef DB_POSTGRES_REACH_H
#define DB_POSTGRES_REACH_H

#include "db/postgres_store.h"

/* What goes into `places`: which servers an address means, without user and password. */
#define POSTGRES_PLACES_SIZE 600

/* An address taken apart. */
struct postgres_target {
	PQconninfoOption *options;
	int64_t limit_ms; /* to connect to one host */
	char places[POSTGRES_PLACES_SIZE];
};

/* BAD_CONFIG for what libpq doesn't understand.  The caller releases it in any case. */
enum status postgres_target(struct postgres_target *target, const struct postgres *store, struct buf *why) MUST_CHECK;
void postgres_target_release(struct postgres_target *target);

/*
 * A connection to the first of the target's hosts that takes writes, within its limit: STORE_DOWN with `why`, which tells of each
 * host.  store->again when one of them is just coming or going.
 */
enum status postgres_reach(struct postgres *store, const struct postgres_target *target, PGconn **out,
                           struct buf *why) MUST_CHECK;

/* Whether we can use this server: what is wrong, with what to do, goes into `said`. */
bool postgres_suits(PGconn *conn, struct buf *said);

/* Remembers in store->away that `places` could not be reached, by what `why` says.  Best effort. */
void postgres_away_note(const struct postgres *store, const char *places, const struct buf *why);

/* The same of the servers that the store's address means, when one of them has fallen silent (store->silent_ms). */
void postgres_away_silent(const struct postgres *store);

/* A server has answered again. */
void postgres_away_forget(const struct postgres *store);

/* STORE_DOWN when it is remembered that `places` could not be reached a moment ago; else OK. */
enum status postgres_away_check(const struct postgres *store, const char *places, struct buf *why) MUST_CHECK;

#endif
