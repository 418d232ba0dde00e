/* Judges holders of a trial's store by the anchors in its folder, and by their processes. */
#ifndef DIAGNOSE_WITNESS_H
#define DIAGNOSE_WITNESS_H

#include "core/waiter.h"

/* `folder` must live as long as the witness is used. */
struct witness diagnose_witness(char *folder);

#endif
