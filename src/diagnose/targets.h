/* The targets, each in a file of its own; diagnose.c lists them. */
#ifndef DIAGNOSE_TARGETS_H
#define DIAGNOSE_TARGETS_H

#include "diagnose/trial.h"

extern const struct target target_session_state;
extern const struct target target_checkpoints;
extern const struct target target_session_id;
extern const struct target target_lightrag_health;
extern const struct target target_instruction_history;
extern const struct target target_token_opus;
extern const struct target target_token_bash;
extern const struct target target_lightrag_slots;
extern const struct target target_task_start;
extern const struct target target_active_task;
extern const struct target target_file_append;
extern const struct target target_daily_header;
extern const struct target target_derived_doc;
extern const struct target target_pending_before_bind;
extern const struct target target_claim_then_crash;
extern const struct target target_restart_with_backlog;
extern const struct target target_memory_writer;
extern const struct target target_evidence_ledger;
extern const struct target target_evidence_index;
extern const struct target target_verdict_ledger;
extern const struct target target_blueprint_ledger;
extern const struct target target_audit_log;
extern const struct target target_message_log;
extern const struct target target_turn_cold;
extern const struct target target_turn_cold_to_warm;

#endif
