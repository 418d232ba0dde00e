/*
 * Which codebase a folder belongs to, found by walking the folders, without a git process.
 */
#ifndef OS_PATHS_H
#define OS_PATHS_H

#include "base/buf.h"

#include <stdbool.h>

#define PATH_SIZE 4096
#define WORKTREE_SIZE 256

struct place {
	char root[PATH_SIZE];         /* top folder of the worktree, or of the project without git; links resolved */
	char git[PATH_SIZE];          /* the worktree's own git folder; "" without git */
	char common[PATH_SIZE];       /* the git folder that all worktrees share; "" without git */
	char worktree[WORKTREE_SIZE]; /* git's name for it; "" for the main worktree and without git */
	char branch[256];             /* "main", also before its first commit; the commit of a detached head; "" without git */
};

struct store_address {
	char folder[PATH_SIZE];    /* holds stile.db, gate, config; of a server's store what is this machine's alone */
	char file[PATH_SIZE + 16]; /* the database; on a server its address for people, without user and password */
	char url[PATH_SIZE];       /* of a server, without "project"; "" for an embedded store */
	char project[512];         /* "." where one store serves one codebase: the default place */
	bool hurried;              /* set by hooks: a server that was away a moment ago is not tried again */
};

/*
 * The place that `folder` lies in: the nearest folder upwards, itself included, that holds a git worktree, or a `.stile/`;
 * else `folder`.  As for git a `.git` folder that isn't a repository is passed over.
 * NO_SUCH when `folder` isn't there; BAD_INPUT when a .git file isn't one or leads nowhere.
 */
enum status paths_find(const char *folder, struct place *out, struct buf *why) MUST_CHECK;

/*
 * Where its store is: STILE_STORE (an absolute path of a folder, or of a file ending in .db; or a server's address; "?project=NAME"
 * may follow, in an address among its other parameters), else beside git's files, else .stile/ in the root.  With STILE_STORE and no project in it, the address of the remote `origin`,
 * normalised, names the project, else the main worktree's folder.  BAD_CONFIG for an address we can't use.  Nothing is made.
 */
enum status paths_store(const struct place *place, const char *stile_store, struct store_address *out,
                        struct buf *why) MUST_CHECK;

/* Whether it is the address of a PostgreSQL server: postgresql:// or postgres://. */
bool paths_is_server(const char *stile_store);

/*
 * BAD_INPUT, with `why` that begins with `what`, for an address from a command line that has a password in it, in whatever way libpq
 * takes one: others can read it there.
 */
enum status paths_refuse_password(const char *what, const char *address, struct buf *why) MUST_CHECK;

/*
 * Calls `each` with every worktree of the repository that is there, the main one (name "") first, then by name; without git
 * with the root alone.  A bare repository has no main one.  A name whose folder is gone, or belongs to another repository
 * now, is left out.  Stops at the first that isn't OK.  NO_MEMORY, IO_FAILED.
 */
typedef enum status paths_each(void *arg, const char *name, const char *root);
enum status paths_worktrees(const struct place *place, paths_each *each, void *arg) MUST_CHECK;

/*
 * Whether git has `path` (from the worktree's root) in the index of the worktree that paths_worktrees called `name`.  False
 * without git, and when its index can't be read.
 */
bool paths_is_tracked(const struct place *place, const char *name, const char *path);

/* Joins with one slash.  BAD_INPUT when it does not fit. */
enum status paths_join(char *out, size_t size, const char *folder, const char *name) MUST_CHECK;

/* The folder that `path` stands in: "." for a bare name.  BAD_INPUT when it does not fit. */
enum status paths_parent(char *out, size_t size, const char *path) MUST_CHECK;

#endif
