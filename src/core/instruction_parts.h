/* What the files of the noun instruction share, and nobody else needs. */
#ifndef CORE_INSTRUCTION_PARTS_H
#define CORE_INSTRUCTION_PARTS_H

#include "core/instruction.h"

/* The columns of a struct instruction, in its order. */
#define INSTRUCTION_COLUMNS \
	"instruction, version, active, text, persistence, priority, parameters, fields, session, actor, at_ms, i.epoch, " \
	"made_epoch"
#define INSTRUCTION_COLUMN_COUNT 13

/* Takes the rows over, whatever the status; those whose id (at `column`) is NULL are none.  NO_MEMORY. */
enum status instruction_list_from(struct db_rows *rows, size_t column, struct instruction_list *out,
                                  struct buf *why) MUST_CHECK;

/* A book from rows of epoch, number, how many are active, INSTRUCTION_COLUMNS, of which there is at least one.  Takes them over. */
enum status instruction_begin(struct instruction_book *book, struct txn *txn, const char *session, struct db_rows *rows,
                              struct buf *why) MUST_CHECK;

/* 64 bits that two texts share only by accident. */
int64_t instruction_digest(const char *text);

/* 0 = HIGH, 1 = MEDIUM, 2 = LOW, in any case. */
#define INSTRUCTION_OTHER_WORD 3
int64_t instruction_standing(const char *persistence);

/* A JSON object from the compact text that it is kept as.  The caller owns *out.  NO_MEMORY. */
enum status instruction_object(const char *text, json_t **out, struct buf *why) MUST_CHECK;

/* Queued: what `now` sets in the place of what `before` (may be NULL) did, and which parameters that touches.  NO_MEMORY. */
enum status instruction_set(struct instruction_book *book, const struct instruction *before, const struct instruction *now,
                            struct buf *why) MUST_CHECK;

#endif
