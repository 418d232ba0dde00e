/* The session's table of lawful moves as a document: from it the picture in the docs is made. */
#ifndef VERBS_STATES_H
#define VERBS_STATES_H

#include "base/buf.h"

/* Adds a mermaid diagram and a table, in Markdown. */
void states_document(struct buf *out);

#endif
