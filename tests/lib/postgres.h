/*
 * A PostgreSQL server of the test program's own: made at the first use, on a Unix socket in a folder of its own, as an ordinary user
 * also when the tests run as root, and gone with the program that began it.  It syncs as a real one does.
 * What fails here is the test's surroundings: it is told on stderr and the program aborts.
 */
#ifndef LIB_POSTGRES_H
#define LIB_POSTGRES_H

#include <stddef.h>

#define POSTGRES_URL_SIZE 300

/*
 * The address of a database called `name`, made if it isn't there, for the role that owns it and is no superuser, so that row
 * security is in force.  To be called first by the process that is to own the server;
 * children of it find that one.
 */
void postgres_address(const char *name, char out[POSTGRES_URL_SIZE]);

/* Runs SQL that gives no rows, as the server's superuser in that database. */
void postgres_execute(const char *url, const char *sql);

/* SIGKILL for every process of the server but not for its files; postgres_again starts it on them. */
void postgres_crash(void);
void postgres_again(void);

#endif
