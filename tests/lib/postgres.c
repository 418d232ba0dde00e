#include "lib/postgres.h"

#include "lib/scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <libpq-fe.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define NOBODY 65534
#define LIMIT_MS 60000
#define OLDEST 15

static struct server {
	char *folder;
	pid_t owner;
	char programs[200];
	struct scratch_child child;
} server;

static _Noreturn void
give_up(const char *what, const char *why)
{
	fprintf(stderr, "postgres: %s: %s\n", what, why);
	abort();
}

/* Debian keeps each version's programs apart; the newest is taken. */
static void
find_programs(void)
{
	glob_t found;
	int newest = 0, version;

	if (glob("/usr/lib/postgresql/[0-9]*/bin/initdb", 0, NULL, &found) != 0)
		give_up("/usr/lib/postgresql", "no server is installed; scripts/deps check does it");
	for (size_t i = 0; i < found.gl_pathc; i++)
		if (sscanf(found.gl_pathv[i], "/usr/lib/postgresql/%d/", &version) == 1 && version > newest) {
			newest = version;
			snprintf(server.programs, sizeof server.programs, "%.*s", (int)(strlen(found.gl_pathv[i]) - strlen("/initdb")),
			         found.gl_pathv[i]);
		}
	globfree(&found);
	if (newest < OLDEST)
		give_up(server.programs, "is too old");
}

static int
become_program(void *arg)
{
	char **argv = arg;
	char path[500];
	int log;

	/* its programs look where they are, and an ordinary user may not */
	if (chdir("/") != 0 || (geteuid() == 0 && (setgid(NOBODY) != 0 || setuid(NOBODY) != 0)))
		return 126;
	/* a change of user forgets it */
	prctl(PR_SET_PDEATHSIG, SIGQUIT);
	snprintf(path, sizeof path, "%s/log", server.folder);
	log = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	if (log < 0 || dup2(log, 1) < 0 || dup2(log, 2) < 0)
		return 126;
	snprintf(path, sizeof path, "%s/%s", server.programs, argv[0]);
	/* by its own name each finds the others */
	argv[0] = path;
	execv(path, argv);
	return 127;
}

static void
show_log(void)
{
	char path[500], bytes[4096];
	ssize_t len;
	int log;

	snprintf(path, sizeof path, "%s/log", server.folder);
	log = open(path, O_RDONLY | O_CLOEXEC);
	while (log >= 0 && (len = read(log, bytes, sizeof bytes)) > 0)
		fwrite(bytes, 1, (size_t)len, stderr);
	if (log >= 0)
		close(log);
}

/* The server tells when it is ready as it tells systemd. */
static int
open_notices(char *path, size_t size)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	snprintf(path, size, "%s/ready", server.folder);
	unlink(path);
	snprintf(address.sun_path, sizeof address.sun_path, "%.100s", path);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) != 0 || chmod(path, 0777) != 0)
		give_up(path, strerror(errno));
	return fd;
}

static void
wait_ready(int notices)
{
	char said[500] = "";

	while (strstr(said, "READY=1") == NULL) {
		struct pollfd there[2] = {{.fd = notices, .events = POLLIN}, {.fd = server.child.pidfd, .events = POLLIN}};
		ssize_t len;

		if (poll(there, 2, LIMIT_MS) <= 0 || there[1].revents != 0) {
			show_log();
			give_up("the server", "does not start");
		}
		len = recv(notices, said, sizeof said - 1, 0);
		said[len > 0 ? len : 0] = '\0';
	}
}

void
postgres_again(void)
{
	char data[400], socket_path[400];
	char *argv[] = {(char[]){"postgres"},
	                (char[]){"-D"},
	                data,
	                (char[]){"-k"},
	                server.folder,
	                (char[]){"-c"},
	                (char[]){"listen_addresses="},
	                (char[]){"-c"},
	                (char[]){"max_connections=200"},
	                NULL};
	int notices = open_notices(socket_path, sizeof socket_path);

	snprintf(data, sizeof data, "%s/data", server.folder);
	setenv("NOTIFY_SOCKET", socket_path, 1);
	scratch_spawn(&server.child, become_program, argv);
	unsetenv("NOTIFY_SOCKET");
	wait_ready(notices);
	close(notices);
}

static void
stop(void)
{
	if (server.folder == NULL || server.owner != getpid())
		return;
	kill(server.child.pid, SIGQUIT);
	scratch_wait(&server.child, LIMIT_MS);
	scratch_remove(server.folder);
	server.folder = NULL;
}

static void
start(void)
{
	char data[400];
	char *argv[] = {(char[]){"initdb"},
	                (char[]){"-D"},
	                data,
	                (char[]){"-U"},
	                (char[]){"stile"},
	                (char[]){"-A"},
	                (char[]){"trust"},
	                (char[]){"-E"},
	                (char[]){"UTF8"},
	                (char[]){"--locale=C.UTF-8"},
	                (char[]){"--no-sync"},
	                NULL};
	struct scratch_child child;

	find_programs();
	server.folder = scratch_folder();
	server.owner = getpid();
	if (chmod(server.folder, 0755) != 0 || (geteuid() == 0 && chown(server.folder, NOBODY, NOBODY) != 0))
		give_up(server.folder, strerror(errno));
	snprintf(data, sizeof data, "%s/data", server.folder);
	scratch_spawn(&child, become_program, argv);
	if (scratch_wait(&child, LIMIT_MS) != 0) {
		show_log();
		give_up("initdb", "failed");
	}
	atexit(stop);
	postgres_again();
}

/* Those that serve connections: without them one would still do what it was sent last. */
static size_t
find_backends(int *out, size_t max)
{
	char path[100];
	size_t count = 0;
	FILE *file;

	snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)server.child.pid, (int)server.child.pid);
	file = fopen(path, "r");
	while (file != NULL && count < max && fscanf(file, "%d", &out[count]) == 1)
		count++;
	if (file != NULL)
		fclose(file);
	return count;
}

void
postgres_crash(void)
{
	char path[500];
	FILE *file;
	int pid = 0, backends[256];
	size_t count = find_backends(backends, sizeof backends / sizeof *backends);

	snprintf(path, sizeof path, "%s/data/postmaster.pid", server.folder);
	file = fopen(path, "r");
	if (file == NULL || fscanf(file, "%d", &pid) != 1 || pid != server.child.pid)
		give_up(path, "does not name our server");
	fclose(file);
	kill(server.child.pid, SIGKILL);
	for (size_t i = 0; i < count; i++)
		kill(backends[i], SIGKILL);
	scratch_wait(&server.child, LIMIT_MS);
}

static void
url_of(const char *database, char out[POSTGRES_URL_SIZE])
{
	snprintf(out, POSTGRES_URL_SIZE, "postgresql:///?dbname=%s&host=%s&user=ordinary&connect_timeout=30", database,
	         server.folder);
}

/* An error of the SQLSTATEs in `fine` is none. */
static void
execute(const char *url, const char *sql, const char *fine)
{
	char as_superuser[POSTGRES_URL_SIZE + 20];
	PGconn *conn;
	PGresult *result;
	const char *state;
	bool done;

	snprintf(as_superuser, sizeof as_superuser, "%s&user=stile", url);
	conn = PQconnectdb(as_superuser);
	result = PQexec(conn, sql);
	state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	done = PQresultStatus(result) == PGRES_COMMAND_OK || PQresultStatus(result) == PGRES_TUPLES_OK;

	if (!done && (state == NULL || strstr(fine, state) == NULL))
		give_up(sql, PQerrorMessage(conn));
	PQclear(result);
	PQfinish(conn);
}

void
postgres_execute(const char *url, const char *sql)
{
	execute(url, sql, "");
}

void
postgres_address(const char *name, char out[POSTGRES_URL_SIZE])
{
	char sql[200];

	if (server.folder == NULL)
		start();
	url_of("postgres", out);
	/* somebody may be making them at this moment */
	execute(out, "CREATE ROLE ordinary LOGIN", "42710 23505");
	snprintf(sql, sizeof sql, "CREATE DATABASE \"%.60s\" OWNER ordinary", name);
	execute(out, sql, "42P04 23505");
	url_of(name, out);
}
