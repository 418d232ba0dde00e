/*
 * The tables of a codebase's rows, as literals that both engines take.  A table that gets columns gets them here, and a new one
 * a line: tests/contract/copy.c holds this list against the schema.
 */
#include "core/copy.h"

/* Parameters by their number. */
#define V2 "$1, $2"
#define V3 V2 ", $3"
#define V4 V3 ", $4"
#define V5 V4 ", $5"
#define V6 V5 ", $6"
#define V7 V6 ", $7"
#define V8 V7 ", $8"
#define V9 V8 ", $9"
#define V10 V9 ", $10"
#define V11 V10 ", $11"
#define V12 V11 ", $12"
#define V13 V12 ", $13"
#define V14 V13 ", $14"
#define V15 V14 ", $15"
#define V16 V15 ", $16"
#define V17 V16 ", $17"
#define V18 V17 ", $18"
#define V19 V18 ", $19"
#define V20 V19 ", $20"
#define V21 V20 ", $21"
#define V22 V21 ", $22"
#define V23 V22 ", $23"
#define V24 V23 ", $24"
#define V25 V24 ", $25"
#define V26 V25 ", $26"
#define V27 V26 ", $27"
#define V28 V27 ", $28"
#define V29 V28 ", $29"
#define V30 V29 ", $30"
#define V31 V30 ", $31"
#define V32 V31 ", $32"
#define V33 V32 ", $33"

/* Those that say after which key the next page begins. */
#define K1 "$2"
#define K2 "$2, $3"
#define K3 "$2, $3, $4"
#define K4 "$2, $3, $4, $5"

/* `page`: rows that are read at once, few where their texts are long. */
#define TABLE(table, page, key_count, keys, rest, count) \
	{ \
#table, "SELECT project, " keys rest " FROM " #table " WHERE project = $1 ORDER BY " keys " LIMIT " #page, \
			"SELECT project, " keys rest " FROM " #table " WHERE project = $1 AND (" keys ") > (" K##key_count \
			") ORDER BY " keys " LIMIT " #page, \
			"INSERT INTO " #table " (project, " keys rest ") VALUES (" V##count ")", \
			"DELETE FROM " #table " WHERE project = $1", page, key_count, count \
	}

#define PROJECT "project, created_ms, reaped_ms, epoch, instruction_number, instructions, instruction_conflicts"

static const struct copy_table tables[] = {
	TABLE(session, 500, 1, "session",
          ", client, client_session, client_version, parent, state, state_ms, waiting_for, started_ms, "
          "event_ms, ended_ms, end_reason, events, generation, generation_ms, budget, budget_given, pid, "
          "pid_start, pid_space, pid_boot, cwd, worktree, branch, told_epoch",
          26),
	TABLE(binding, 500, 3, "session, slot, generation", ", value, bound_ms, bound_by, placeholder", 8),
	TABLE(binding_owner, 500, 3, "slot, scope, value", ", session", 5),
	TABLE(binding_distinct, 500, 1, "slot", "", 2),
	TABLE(metric, 500, 2, "session, name", ", value, base", 5),
	TABLE(metric_recent, 500, 3, "session, name, at_ms", ", amount", 5),
	TABLE(transcript, 500, 2, "session, path", ", agent, position, inside, context_from, size, broken", 9),
	TABLE(spend, 500, 3, "session, message, request", ", agent, input, cache_write, cache_read, output", 9),
	TABLE(checkpoint, 500, 3, "session, generation, percent", ", tokens, budget, fired_ms, told_ms", 8),
	TABLE(audit, 500, 1, "seq", ", at_ms, session, actor, kind, subject, before, after, epoch", 10),
	TABLE(instruction, 100, 2, "instruction, version",
          ", current, active, action, text, digest, persistence, standing, priority, parameters, fields, "
          "session, actor, at_ms, epoch, made_epoch",
          18),
	TABLE(instruction_mark, 500, 4, "instruction, version, kind, actor", ", session, at_ms, count", 8),
	TABLE(instruction_setting, 100, 2, "parameter, instruction", ", value, priority, made_epoch", 6),
	TABLE(instruction_conflict, 100, 4, "resolved_epoch, parameter, chosen, other",
          ", chosen_value, other_value, decided_by, found_epoch, found_ms, found_by, resolved_ms, resolved_by", 13),
	TABLE(tractatus_place, 500, 1, "folder", ", place, continuous", 4),
	TABLE(tractatus_base, 2, 2, "place, seq", ", epoch, ours, import, text", 7),
	TABLE(tractatus_seen, 50, 2, "place, name", ", number, text", 5),
	TABLE(tractatus_import, 500, 1, "import", ", place, at_ms, undone_ms", 5),
	TABLE(tractatus_imported, 100, 3, "import, kind, item", ", version, was", 6),
	TABLE(tractatus_conflict, 50, 3, "place, seq, instruction", ", version, found_ms, ours, theirs", 8),
	TABLE(resource, 500, 1, "resource", ", slots, fence, ticket, waits, holds", 7),
	TABLE(lease, 100, 2, "resource, ticket",
          ", fence, slot, shared, actor, session, chain, anchor, anchored, pid, pid_start, pid_space, pid_boot, "
          "wake, priority, passed, asked_ms, until_ms, since_ms, ttl_ms, max_ms, expires_ms, challenged_ms, "
          "challenged_awake_ms, challenged_boot",
          27),
	TABLE(role, 500, 1, "role", ", priority", 3),
	TABLE(turn, 2, 2, "session, fence",
          ", turn, state, actor, slot, resumed, bound, cold_retries, question, answer, began_ms, ended_ms", 14),
	TABLE(turn_key, 500, 1, "name", ", session", 3),
	TABLE(task, 100, 1, "task", ", actor, session, fence, claimed_ms, done_ms, result", 8),
	TABLE(active_task, 500, 1, "session", ", task, set_ms", 4),
	TABLE(token, 500, 1, "token", ", generation, issuer, session, scope, digest, issued_ms, expires_ms, consumer, consumed_ms",
          11),
	TABLE(waiter, 500, 2, "topic, anchor", ", wake, asked_ms", 5),
	TABLE(queue, 500, 1, "queue", ", last, settled, items, bytes, dead, done", 8),
	TABLE(queue_item, 100, 2, "queue, item",
          ", line, state, priority, slot, key, digest, size, apart, actor, put_ms, ready_ms, ended_ms, attempts, reason, "
          "generation, holder, session, anchor, anchored, pid, pid_start, pid_space, pid_boot, since_ms, ttl_ms, expires_ms, "
          "challenged_ms, challenged_awake_ms, challenged_boot",
          32),
	TABLE(queue_payload, 2, 2, "queue, item", ", payload", 4),
	TABLE(ledger, 100, 1, "ledger", ", last, head, largest, cut, cut_hash, cut_signed, signed", 9),
	TABLE(ledger_entry, 40, 2, "ledger, seq", ", at_ms, session, actor, kind, key, prev, hash, body", 11),
	/* the last: whoever begins to write in a project may have made its row */
	{"project", "SELECT " PROJECT " FROM project WHERE project = $1", NULL,
     "INSERT INTO project (" PROJECT ") VALUES (" V7 ") ON CONFLICT (project) DO UPDATE SET created_ms = excluded.created_ms,"
     " reaped_ms = excluded.reaped_ms, epoch = excluded.epoch, instruction_number = excluded.instruction_number,"
     " instructions = excluded.instructions, instruction_conflicts = excluded.instruction_conflicts, moved = '', moved_to = ''",
     "DELETE FROM project WHERE project = $1", 1, 0, 7},
};

const struct copy_table *
copy_nth(size_t n)
{
	return n < sizeof tables / sizeof *tables ? &tables[n] : NULL;
}
