/* Bytes that are no text, for a server that keeps nothing but text. */
#ifndef DB_POSTGRES_TEXT_H
#define DB_POSTGRES_TEXT_H

#include "db/postgres_store.h"

/*
 * The names of folders and branches are bytes, and the server keeps nothing but UTF-8: each byte that is none stands there as a
 * character of private use, and comes back as it was.  in: *out is NULL when `text` can go as it is, else the caller's to free;
 * NO_MEMORY.  out: in place.
 */
enum status postgres_text_in(const char *text, char **out) MUST_CHECK;
void postgres_text_out(char *text);

#endif
