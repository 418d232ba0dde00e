#include "diagnose/diagnose.h"

static const struct resource resources[] = {
    {"Tractatus 2.2", "session-state.json", "applied", "session-state",
     "counters and pressure are each session's own, in the store"},
    {"Tractatus 3.1", "token-checkpoints.json", "applied", "checkpoints", "fired once per session; no start resets another's"},
    {"Tractatus 2.4", "the session's id", "applied", "session-id", "made by Stile, one for life"},
    {"Tractatus 2.4", "lines of the audit trail", "applied", "", "every change in Stile's trail names who made it"},
    {"Tractatus 3.1", "errors of the last minutes", "applied", "", "counted for the session that made them"},
    {"Tractatus 2.1", "instruction-history.json", "applied", "instruction-history",
     "instructions are in the store: ids in sequence, versions, one transaction each"},
    {"Tractatus 2.3", "test documents with constant names", "deferred", "", "needs names and databases leased per session"},
    {"Trinity #779", "the cached id to resume by", "applied", "", "a binding: the first writer wins, the loser is told"},
    {"Trinity #779", "a session's turn", "applied", "turn-cold", "a lease by the session's own key; the id is read and bound in it"},
    {"Trinity #779", "the lock's change from cold to warm", "applied", "turn-cold-to-warm", "there is one key for both"},
    {"Trinity #779", "the marker of a turn in work", "applied", "", "`stile turn list`: who is in it and who waits"},
    {"Trinity #779", "transcripts that nobody resumes", "applied", "", "`stile session reap --transcripts`, with all ids ever given"},
    {"claude-mem #586", "memory_session_id", "applied", "", "a late binding in generations; distinct from the client's id"},
    {"claude-mem #586", "a session's row", "applied", "", "get-or-create is one step, the same under any race"},
    {"claude-mem #586", "pending_messages", "deferred", "", "needs a durable queue"},
    {"ALAI P1-1", "lightrag-ingest-health.json", "applied", "lightrag-health", "fire_count is a counter in the store"},
    {"ALAI P1-2", "evidence-ledger.jsonl", "deferred", "", "whole only while a line is one write; needs a ledger"},
    {"ALAI P1-3", "evidence-index.jsonl", "deferred", "", "whole only while a line is one write; needs a ledger"},
    {"ALAI P1-4", "/tmp/mehanik-cleared-ID", "deferred", "", "needs paths per session, the old one with a warning"},
    {"ALAI P1-5", "/tmp/evidence-NNN/", "deferred", "", "needs paths per session, the old one with a warning"},
    {"ALAI P1-6", "/tmp/claim-schema-ID.json", "deferred", "", "needs paths per session, the old one with a warning"},
    {"ALAI P1-7", "/tmp/hop-build-started-ID", "deferred", "", "needs a task's start as a lease"},
    {"ALAI P1-8", "/tmp/opus-override-token", "deferred", "", "needs tokens that are consumed once"},
    {"ALAI P1-9", "/tmp/john-bash-override-token", "deferred", "", "needs tokens that are consumed once"},
    {"ALAI P1-10", "the Playwright MCP server", "deferred", "", "needs a broker: one browser context per session"},
    {"ALAI P1-11", "the LightRAG ingest API", "deferred", "", "needs a semaphore; a killed holder's mkdir slot stays taken"},
    {"ALAI P1-12", "MEMORY.md", "deferred", "", "its own daemon is the one writer; needs a queue to replace it"},
    {"ALAI P1-13", "/tmp/mc-active-task", "deferred", "", "a session can bind its own; nothing holds it to that yet"},
    {"ALAI P2-1", "blueprint-override-ledger.jsonl", "deferred", "", "whole only below 4096 bytes a line; needs a ledger"},
    {"ALAI P2-2", "h-ready-audit.jsonl", "deferred", "", "whole only below 4096 bytes a line; needs a ledger"},
    {"ALAI P2-3", "verdict-ledger.jsonl", "deferred", "", "writes unlocked when its lock times out; needs a ledger"},
    {"ALAI P2-4", "daily-logs/DAY.md", "deferred", "", "two may write its head; needs files made once"},
    {"ALAI P2-5", "/tmp/gotcha-task-ID.md", "deferred", "", "needs files made once"},
    {"ALAI P2-6", "hivemind.db", "verified", "", "WAL: SQLite keeps order; `stile doctor --database` tells"},
    {"ALAI P2-7", "knowledge.db", "verified", "", "WAL: SQLite keeps order; `stile doctor --database` tells"},
    {"ALAI P2-8", "session-save.log", "deferred", "", "whole only below 4096 bytes a line; needs a ledger"},
};

const struct resource *
diagnose_resource(size_t n)
{
	return n < sizeof resources / sizeof *resources ? &resources[n] : NULL;
}
