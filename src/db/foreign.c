#include "db/foreign.h"

#include "base/str.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <sys/stat.h>

#define BUSY_MS 2000
#define PATH_MAX_BYTES 4096
#define HEADER 100

struct foreign {
	sqlite3 *handle;
	sqlite3_stmt *query;
	bool still;       /* nobody has it open as far as can be seen, and it is read without a trace */
	struct stat seen; /* as it was then */
	char path[PATH_MAX_BYTES];
};

static enum status
tell(const struct foreign *foreign, int code, struct buf *why)
{
	const char *path = foreign->path;

	switch (code & 0xff) {
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return why_not(why, BUSY, "%s: another program has locked it; try again when it is done", path);
	case SQLITE_NOTADB:
		return why_not(why, BAD_INPUT, "%s: is not a SQLite database", path);
	case SQLITE_CORRUPT:
		return why_not(why, BAD_INPUT, "%s: is damaged (%s); nothing is taken from it", path, sqlite3_errmsg(foreign->handle));
	case SQLITE_ERROR:
		return why_not(why, BAD_INPUT, "%s: can't be followed: %s", path, sqlite3_errmsg(foreign->handle));
	case SQLITE_READONLY:
		return why_not(why, IO_FAILED, "%s: was left in the middle of a change; let its own program open it once", path);
	case SQLITE_NOMEM:
	case SQLITE_TOOBIG:
		return why_not(why, NO_MEMORY, "%s: out of memory", path);
	default:
		return why_not(why, IO_FAILED, "%s: can't be read: %s", path,
		               foreign->handle == NULL ? sqlite3_errstr(code) : sqlite3_errmsg(foreign->handle));
	}
}

static bool
has_log(const struct foreign *foreign)
{
	char log[PATH_MAX_BYTES + 8];
	struct stat there;

	snprintf(log, sizeof log, "%s-wal", foreign->path);
	return stat(log, &there) == 0;
}

/* As SQLite takes a path: what would end it or begin something else is escaped. */
static void
put_uri(struct buf *out, const struct foreign *foreign)
{
	buf_text(out, "file:");
	for (const char *at = foreign->path; *at != '\0'; at++)
		if (*at == '%' || *at == '?' || *at == '#')
			buf_printf(out, "%%%02X", (unsigned)*at);
		else
			buf_add(out, at, 1);
	buf_text(out, foreign->still ? "?mode=ro&immutable=1" : "?mode=ro");
}

static int
open_handle(struct foreign *foreign)
{
	struct buf uri;
	int code;

	buf_init(&uri, PATH_MAX_BYTES * 3 + 64);
	put_uri(&uri, foreign);
	code = buf_status(&uri) != OK ? SQLITE_NOMEM
	                              : sqlite3_open_v2(uri.data, &foreign->handle,
	                                                SQLITE_OPEN_READONLY | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX, NULL);
	buf_release(&uri);
	if (code != SQLITE_OK)
		return code;
	sqlite3_extended_result_codes(foreign->handle, 1);
	sqlite3_busy_timeout(foreign->handle, BUSY_MS);
	sqlite3_db_config(foreign->handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	sqlite3_db_config(foreign->handle, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	sqlite3_db_config(foreign->handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	return sqlite3_exec(foreign->handle, "PRAGMA cell_size_check = ON; PRAGMA query_only = ON", NULL, NULL, NULL);
}

/* Whether it writes ahead.  Read by SQLite's own handle: to close any other would drop the locks that this process has on it. */
static bool
writes_ahead(struct foreign *foreign)
{
	unsigned char header[HEADER] = {0};
	sqlite3_file *file = NULL;

	if (sqlite3_file_control(foreign->handle, "main", SQLITE_FCNTL_FILE_POINTER, &file) != SQLITE_OK || file == NULL ||
	    file->pMethods == NULL || file->pMethods->xRead(file, header, HEADER, 0) != SQLITE_OK)
		return false;
	return header[18] == 2;
}

/*
 * A reader of a database that writes ahead makes the log's files anew if they aren't there, and leaves them.  Where there is no log
 * nobody has it open: it is read as a file that stays as it is, which is looked at again at the end.
 */
static int
open_quietly(struct foreign *foreign)
{
	int code = open_handle(foreign);

	if (code == SQLITE_OK && !has_log(foreign) && writes_ahead(foreign)) {
		sqlite3_close(foreign->handle);
		foreign->handle = NULL;
		foreign->still = true;
		code = open_handle(foreign);
	}
	/* the first look fixes the moment */
	return code == SQLITE_OK ? sqlite3_exec(foreign->handle, "BEGIN; SELECT count(*) FROM sqlite_master", NULL, NULL, NULL)
	                         : code;
}

enum status
foreign_open(const char *path, struct foreign **out, struct buf *why)
{
	struct foreign *foreign;
	struct stat there;
	enum status status;
	int code;

	if (stat(path, &there) != 0)
		return why_not(why, errno == ENOENT || errno == ENOTDIR ? NO_SUCH : IO_FAILED, "%.900s: %s", path, strerror(errno));
	if (!S_ISREG(there.st_mode))
		return why_not(why, BAD_INPUT, "%.900s: is not a file", path);
	foreign = calloc(1, sizeof *foreign);
	if (foreign == NULL)
		return why_not(why, NO_MEMORY, "out of memory");
	foreign->seen = there;
	status = str_copy(foreign->path, sizeof foreign->path, path);
	if (status != OK)
		status = why_not(why, BAD_INPUT, "the path is too long: %.900s", path);
	else if ((code = open_quietly(foreign)) != SQLITE_OK)
		status = tell(foreign, code, why);
	if (status == OK)
		*out = foreign;
	else
		foreign_close(foreign);
	return status;
}

void
foreign_close(struct foreign *foreign)
{
	if (foreign == NULL)
		return;
	sqlite3_finalize(foreign->query);
	sqlite3_close(foreign->handle);
	free(foreign);
}

enum status
foreign_ask(struct foreign *foreign, const char *sql, const char *text, struct buf *why)
{
	int code;

	sqlite3_finalize(foreign->query);
	foreign->query = NULL;
	code = sqlite3_prepare_v2(foreign->handle, sql, -1, &foreign->query, NULL);
	if (code == SQLITE_OK && sqlite3_bind_parameter_count(foreign->query) > 0)
		code = sqlite3_bind_text(foreign->query, 1, text, -1, SQLITE_TRANSIENT);
	return code == SQLITE_OK ? OK : tell(foreign, code, why);
}

enum status
foreign_next(struct foreign *foreign, bool *more, struct buf *why)
{
	int code = sqlite3_step(foreign->query);

	if (code != SQLITE_ROW && code != SQLITE_DONE)
		return tell(foreign, code, why);
	*more = code == SQLITE_ROW;
	return OK;
}

const char *
foreign_text(struct foreign *foreign, int column)
{
	const char *text = (const char *)sqlite3_column_text(foreign->query, column);
	size_t bytes = (size_t)sqlite3_column_bytes(foreign->query, column);

	if (text == NULL)
		return "";
	return str_check_long("", text, bytes, NULL) == OK ? text : NULL;
}

int64_t
foreign_int(struct foreign *foreign, int column)
{
	return sqlite3_column_int64(foreign->query, column);
}

enum status
foreign_columns(struct foreign *foreign, const char *table, struct buf *out, struct buf *why)
{
	bool more = true;
	enum status status = foreign_ask(foreign,
	                                 "SELECT c.name FROM sqlite_master m, pragma_table_info(m.name) c WHERE m.type = 'table'"
	                                 " AND m.name = $1",
	                                 table, why);

	while (status == OK && (status = foreign_next(foreign, &more, why)) == OK && more) {
		const char *name = foreign_text(foreign, 0);

		if (name != NULL)
			buf_printf(out, " %s ", name);
	}
	return status == OK && buf_status(out) != OK ? tell(foreign, SQLITE_NOMEM, why) : status;
}

bool
foreign_lists(const struct buf *columns, const char *name)
{
	char padded[LABEL_MAX];

	snprintf(padded, sizeof padded, " %s ", name);
	return columns->len > 0 && strstr(columns->data, padded) != NULL;
}

enum status
foreign_check(struct foreign *foreign, const char *table, struct buf *why)
{
	char sql[LABEL_MAX + 40];
	bool more = false;
	enum status status;

	snprintf(sql, sizeof sql, "PRAGMA quick_check(%s)", table);
	status = foreign_ask(foreign, sql, NULL, why);
	if (status == OK)
		status = foreign_next(foreign, &more, why);
	if (status == OK && more && !str_equal((const char *)sqlite3_column_text(foreign->query, 0), "ok")) {
		char first[200];

		str_one_line(first, sizeof first, (const char *)sqlite3_column_text(foreign->query, 0));
		status = why_not(why, BAD_INPUT, "%s: is damaged (%s); nothing is taken from it", foreign->path, first);
	}
	return status;
}

enum status
foreign_unchanged(struct foreign *foreign, struct buf *why)
{
	struct stat now;

	if (!foreign->still)
		return OK;
	if (stat(foreign->path, &now) == 0 && now.st_ino == foreign->seen.st_ino && now.st_size == foreign->seen.st_size &&
	    now.st_mtim.tv_sec == foreign->seen.st_mtim.tv_sec && now.st_mtim.tv_nsec == foreign->seen.st_mtim.tv_nsec &&
	    !has_log(foreign))
		return OK;
	return why_not(why, BUSY, "%s: somebody began to write to it while it was read; try again", foreign->path);
}

enum status
foreign_named(const char *path, enum status status, struct buf *why)
{
	char reason[WHY_MAX];

	if (status == OK || str_starts(why->data, path))
		return status;
	snprintf(reason, sizeof reason, "%s", why->data);
	return why_not(why, status, "%.500s: %.500s", path, reason);
}
