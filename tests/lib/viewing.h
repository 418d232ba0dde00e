/*
 * A scene for views (os/view.h): a folder with files in it, views of it, and all that they told, as text.
 *
 * No assertion in here: children use it too.
 */
#ifndef LIB_VIEWING_H
#define LIB_VIEWING_H

#include "lib/scratch.h"
#include "os/view.h"

struct viewing {
	char *top;    /* scratch; commands run in it */
	char *folder; /* top/seen, the folder that is viewed */
	char *place;  /* top/place */
	const char *label;
	struct view_file files[2]; /* "one" and "two" */
	enum status takes;         /* what view->take answers */
	enum status status;        /* of the last view */
	int exit;
	struct buf why;
	struct buf taken; /* "label name was>now\n" each; - for a file that isn't there */
	struct buf told;  /* "event name as\n" each; the eight digits of a name beside are dropped */
};

/* With "one" holding `one`, "two" not there, and the file "known" and the folder "sub" in the folder. */
struct viewing *viewing_new(const char *one);
void viewing_free(struct viewing *viewing);

/* Another view of the same folder, in this or another process: shares what is on disk. */
struct viewing *viewing_other(const struct viewing *viewing, const char *label, const char *one);
void viewing_free_other(struct viewing *viewing);

/* The command's words, or a shell's script; status, exit, why, taken and told are of this one then. */
void viewing_run(struct viewing *viewing, char *const argv[]);
void viewing_script(struct viewing *viewing, const char *script);
void viewing_clear(struct viewing *viewing);

/* Around a test: *state is one with "mine". */
int viewing_set_up(void **state);
int viewing_tear_down(void **state);

/* Whether the last command ended with `exit`, and all was brought back; what happened instead is told on stderr. */
bool viewing_ended(const struct viewing *viewing, int exit);

/* Private folders that are left. */
unsigned viewing_left(const struct viewing *viewing);

/* The text of a file below the folder (at most 255 bytes), or "(none)"; the last one only. */
const char *viewing_text(const struct viewing *viewing, const char *name);

/* The text of the file that was kept beside `name`; "(none)" when there is no such or several. */
const char *viewing_beside(const struct viewing *viewing, const char *name);

/* How many entries of the folder begin with that. */
unsigned viewing_count(const struct viewing *viewing, const char *beginning);

/* Writes a file below the folder. */
void viewing_write(const struct viewing *viewing, const char *name, const char *text);

/* Runs `run` as whoever we are and, if that is root, in a process of an ordinary user too: how many failed. */
int viewing_as_both(int (*run)(const char *who));

#endif
