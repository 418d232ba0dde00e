/*
 * What the engines' SQL does not share.  Our SQL has these tokens instead; an engine replaces them when it prepares.
 *
 *   %IDENTITY%   a column that numbers its rows by itself, as primary key; on PostgreSQL together with the project
 *   %CLUSTERED%  after a table's ")": its rows live in its primary key
 *   TEXT         a column's type: texts are ordered by their bytes, whatever the database's language
 *
 * Three.
 */
#ifndef DB_DIALECT_H
#define DB_DIALECT_H

#include "base/buf.h"

enum dialect { DIALECT_SQLITE, DIALECT_POSTGRES };

/* Adds `sql` with its tokens replaced. */
void dialect_expand(struct buf *out, const char *sql, enum dialect dialect);

#endif
