/*
 * Named places at which a test build dies, to show that nothing acknowledged is lost there.  In the program as shipped they
 * are nothing.
 *
 * STILE_FAULT=NAME kills the process (SIGKILL) when it first comes there; NAME:N at the N-th time; NAME!stop stops it instead.
 * NAME!stop,NAME is both, in that order.
 * STILE_FAULT_FILE_SYSTEM=NUMBER is what every file system is taken for (the magic number of statfs(2)).
 */
#ifndef OS_FAULT_H
#define OS_FAULT_H

#include <stdint.h>

#define FAULT_GATE_TAKEN "gate-taken"     /* the lock is held, nothing is read or written yet */
#define FAULT_ROWS_WRITTEN "rows-written" /* all statements of a rule are done, COMMIT is not */
#define FAULT_WRITTEN "written"           /* COMMIT is done, others see it, it is not on disk yet */
#define FAULT_COMMITTED "committed"       /* on disk, the caller not yet answered */
#define FAULT_READING "reading"           /* a file that others write too stands still, and is about to be read */
#define FAULT_REMEMBERED "remembered"     /* an export's bytes are in the store, the file is still as it was */
#define FAULT_SWAPPED "swapped"           /* a file stands in the place of another, which nobody has looked at yet */
#define FAULT_VIEW_FILLS "view-fills"     /* one of a view's own files is made, nothing is in it yet */
#define FAULT_VIEW_ASKED "view-asked"     /* a change of an own file is taken over, which the view does not know yet */
#define FAULT_VIEW_BROUGHT "view-brought" /* something that a view made new has just come into the real folder */
#define FAULT_VIEW_TAKEN "view-taken"     /* a view's own files are taken back, what it made new isn't yet */
#define FAULT_MIRRORS "mirrors"           /* a mirror's lock is held, what it lacks is read, nothing is written yet */
#define FAULT_CHECKPOINT "checkpoint"     /* inside a checkpoint: the WAL copied back in part */

#ifdef STILE_FAULTS
void fault_point(const char *name);
int64_t fault_file_system(int64_t found);
#else
#define fault_point(name) ((void)0)
#define fault_file_system(found) (found)
#endif

#endif
