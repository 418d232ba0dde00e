/* The verbs of each noun.  A new file of verbs has its line here and in verb.c. */
#ifndef VERBS_TABLES_H
#define VERBS_TABLES_H

#include "verbs/verb.h"

struct verb_table {
	const struct verb *verbs;
	size_t count;
};

extern const struct verb_table verbs_init;
extern const struct verb_table verbs_status;
extern const struct verb_table verbs_doctor;
extern const struct verb_table verbs_session;
extern const struct verb_table verbs_metric;
extern const struct verb_table verbs_instruction;
extern const struct verb_table verbs_legacy;
extern const struct verb_table verbs_audit;
extern const struct verb_table verbs_diagnose;
extern const struct verb_table verbs_view;
extern const struct verb_table verbs_store;
extern const struct verb_table verbs_lock;
extern const struct verb_table verbs_turn;
extern const struct verb_table verbs_task;
extern const struct verb_table verbs_token;
extern const struct verb_table verbs_file;
extern const struct verb_table verbs_queue;
extern const struct verb_table verbs_ledger;
extern const struct verb_table verbs_ledger_verify;
extern const struct verb_table verbs_ledger_heads;
extern const struct verb_table verbs_ledger_files;

#define VERB_TABLE(rows) {(rows), sizeof(rows) / sizeof *(rows)}
#define PARAMS(list) (list), sizeof(list) / sizeof *(list)

#endif
