/*
 * Tractatus' instruction-history.json as a document: {"version": ..., "instructions": [...]} or the bare array, either read and
 * written back with everything it says, members we know nothing of included.  Pure: bytes in, bytes out.
 *
 * What we export also says "stile": {"place": ..., "epoch": N}.  Who reads, changes and writes the file keeps that, so it tells
 * which export an edit began from.
 */
#ifndef LEGACY_TRACTATUS_HISTORY_H
#define LEGACY_TRACTATUS_HISTORY_H

#include "base/id.h"
#include "base/json.h"
#include "core/instruction.h"

#define HISTORY_MAX ((size_t)16 << 20) /* bytes of the file */
#define HISTORY_ENTRIES_MAX 20000

struct history {
	json_t *top;          /* an object: the members beside the instructions; NULL = the file is a bare array */
	json_t *entries;      /* an array of objects: each has a text, and an id unless somebody forgot it */
	char place[ID_SIZE];  /* of the export that it comes from; "" = of none */
	int64_t epoch;
};

/*
 * `text` may be changed.  BAD_INPUT with `why`: not JSON (half a file, empty), of another form, two entries with one id, one
 * whose text or id is none or too long.  NO_MEMORY.  The caller releases *out, whose members are untouched on failure.
 */
enum status history_parse(char *text, size_t len, struct history *out, struct buf *why) MUST_CHECK;
void history_release(struct history *history);

/* Adds the document with 2-space indents, as Tractatus' scripts write it; no newline at its end.  Ask buf_status. */
void history_render(const struct history *history, struct buf *out);

/* Adds any document in that form. */
void history_write(const json_t *document, struct buf *out);

/* What an instruction is in the file.  The caller owns it; NULL without memory. */
json_t *history_entry(const struct instruction *instruction);

/* All of a list, as `entries`. */
json_t *history_entries(const struct instruction_list *list);

/* What an entry means to us.  Texts belong to the draft. */
struct history_draft {
	struct instruction_draft draft;
	char *parameters;
	char *fields;
};

/* BAD_INPUT, as instruction_check finds; NO_MEMORY.  The caller releases *out whatever the status. */
enum status history_draft(const json_t *entry, struct history_draft *out, struct buf *why) MUST_CHECK;
void history_draft_release(struct history_draft *draft);

#endif
