/* One partition into its file. */
#ifndef VB_CTL_ARCHIVE_EXPORT_H
#define VB_CTL_ARCHIVE_EXPORT_H

#include <json-c/json.h>
#include <libpq-fe.h>

/* Exports the partition p (relation, part, first_id, last_id) to a file in the folder, on the disk and read back, and adds to p what archive_finish of
 * sql/functions/80_archive.sql takes: sums, sha256. The database is as the owner's, outside a transaction. A file of that name that is there already must have the
 * same content. Returns the file's name, to be freed; NULL after having said why not. */
char *archive_export(PGconn *db, const char *folder, const char *schema, const char *by, json_object *p);

#endif
