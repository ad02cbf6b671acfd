/* Parts of `visitbillctl migrate` that have a file of their own. */
#ifndef VB_CTL_MIGRATE_H
#define VB_CTL_MIGRATE_H

#include <libpq-fe.h>

#include "ctl.h"

/* The bundled SQL with @role@ and @schema@ replaced by quoted identifiers. The caller frees it. */
char *migrate_expand(PGconn *db, const struct config *config, const char *sql);

/* Runs a bundled file inside the caller's transaction. On failure says which file and line was wrong, unless ret_state (may be NULL) is given
 * and the SQLSTATE put there is one that the caller wants to handle: migrate_is_replaceable. Returns 0 or -1. */
int migrate_file(PGconn *db, const struct config *config, const char *name, const char *sql, char ret_state[6]) __attribute__((warn_unused_result));

/* The error of a `create or replace` or of a grant that an older function or view of the same name stands in the way of. */
bool migrate_is_replaceable(const char *sqlstate);

/* Applies all functions and grants in one transaction, where what is recorded for the schema differs: their hash, the schema's version or the
 * role. Returns 1 when it did, 0 when there was nothing to do, or -1 after having said why. */
int migrate_functions(PGconn *db, const struct config *config, int version) __attribute__((warn_unused_result));

#endif
