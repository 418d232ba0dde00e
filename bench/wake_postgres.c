/*
 * The peer of wake.c on a server: `wake_postgres URL ROUNDS on|off`.  One connection changes a row and notifies, another listens.
 * Prints for each round the nanoseconds from just before COMMIT is sent until the listener runs again.  on, off: whether a commit
 * waits for the disk.
 */
#include <libpq-fe.h>

#include <poll.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SETTLE_NS 2000000

struct common {
	_Atomic int listening, done;
	_Atomic int64_t committing_ns;
};

static int64_t
now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void
wait_until(const _Atomic int *word, int value)
{
	const struct timespec pause = {.tv_nsec = 100000};

	while (*word < value)
		nanosleep(&pause, NULL);
}

static void
execute(PGconn *conn, const char *sql)
{
	PGresult *result = PQexec(conn, sql);

	if (PQresultStatus(result) != PGRES_COMMAND_OK) {
		fprintf(stderr, "wake_postgres: %s: %s\n", sql, PQerrorMessage(conn));
		_exit(1);
	}
	PQclear(result);
}

static void
notify(PGconn *conn, struct common *common, int rounds)
{
	const struct timespec settle = {.tv_nsec = SETTLE_NS};

	for (int i = 1; i <= rounds; i++) {
		wait_until(&common->listening, i);
		nanosleep(&settle, NULL);
		execute(conn, "BEGIN");
		execute(conn, "UPDATE wake SET n = n + 1");
		execute(conn, "NOTIFY wake");
		common->committing_ns = now_ns();
		execute(conn, "COMMIT");
		wait_until(&common->done, i);
	}
}

static bool
take_notice(PGconn *conn)
{
	PGnotify *notice;
	bool any = false;

	PQconsumeInput(conn);
	while ((notice = PQnotifies(conn)) != NULL) {
		PQfreemem(notice);
		any = true;
	}
	return any;
}

static void
listen_for(PGconn *conn, struct common *common, int rounds)
{
	struct pollfd input = {.fd = PQsocket(conn), .events = POLLIN};

	execute(conn, "LISTEN wake");
	for (int i = 1; i <= rounds; i++) {
		int64_t woken_ns;

		common->listening = i;
		do {
			poll(&input, 1, -1);
			woken_ns = now_ns();
		} while (!take_notice(conn));
		printf("%lld\n", (long long)(woken_ns - common->committing_ns));
		common->done = i;
	}
}

static void
play(void (*part)(PGconn *, struct common *, int), struct common *common, char **argv)
{
	PGconn *conn = PQconnectdb(argv[1]);
	char sql[60];

	if (PQstatus(conn) != CONNECTION_OK) {
		fprintf(stderr, "wake_postgres: %s\n", PQerrorMessage(conn));
		_exit(1);
	}
	snprintf(sql, sizeof sql, "SET synchronous_commit = %.3s", argv[3]);
	execute(conn, sql);
	part(conn, common, (int)strtol(argv[2], NULL, 10));
	PQfinish(conn);
}

static void
make(PGconn *conn, struct common *common, int rounds)
{
	(void)common;
	(void)rounds;
	execute(conn, "DROP TABLE IF EXISTS wake");
	execute(conn, "CREATE TABLE wake AS SELECT 0 AS n");
}

int
main(int argc, char **argv)
{
	/* cppcheck-suppress invalidFunctionArg ; no file */
	struct common *common = mmap(NULL, sizeof *common, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int status;
	pid_t pid;

	if (argc != 4 || common == MAP_FAILED) {
		fprintf(stderr, "usage: wake_postgres URL ROUNDS on|off\n");
		return 64;
	}
	play(make, common, argv);
	pid = fork();
	if (pid == 0) {
		play(notify, common, argv);
		_exit(0);
	}
	play(listen_for, common, argv);
	return waitpid(pid, &status, 0) == pid && status == 0 ? 0 : 1;
}
