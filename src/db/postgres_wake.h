/* The PostgreSQL engine's wake-up and proof, as db.h has them. */
#ifndef DB_POSTGRES_WAKE_H
#define DB_POSTGRES_WAKE_H

#include "db/postgres_store.h"

enum status postgres_listen(struct db *db, char address[WAKE_SIZE], struct buf *why);
void postgres_wake(struct db *db, const char *address);
void postgres_sleep(struct db *db, int64_t limit_ms);
enum status postgres_prove(struct db *db, char proof[WAKE_SIZE], struct buf *why);
bool postgres_proven(struct db *db, const char *proof);

#endif
