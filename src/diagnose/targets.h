/* The targets, each in a file of its own; diagnose.c lists them. */
#ifndef DIAGNOSE_TARGETS_H
#define DIAGNOSE_TARGETS_H

#include "diagnose/trial.h"

extern const struct target target_session_state;
extern const struct target target_checkpoints;
extern const struct target target_session_id;
extern const struct target target_lightrag_health;
extern const struct target target_instruction_history;
extern const struct target target_turn_cold;
extern const struct target target_turn_cold_to_warm;

#endif
