/* Exporting a partition: in one snapshot, to FILE.part, which is renamed once it is on the disk and was read back. A run that was cut off leaves a FILE.part that
 * the next one writes over, or a whole FILE, whose content the next one finds to be the same. */
#include "archive_export.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "archive_row.h"
#include "bundle.h"
#include "ctl.h"
#include "database.h"
#include "document.h"

static int
copy_rows(PGconn *db, const char *statement, struct archive_writer *w)
{
	PGresult *r = PQexec(db, statement);
	char *row = NULL, complaint[1024];
	int n, failed = 0;

	if (PQresultStatus(r) != PGRES_COPY_OUT) {
		ctl_failed("%s", database_complaint(db, r, complaint, sizeof(complaint)));
		PQclear(r);
		return -1;
	}
	PQclear(r);
	while ((n = PQgetCopyData(db, &row, 0)) > 0) {
		if (failed == 0)
			failed = archive_write(w, row, (size_t)n);
		PQfreemem(row);
	}
	while ((r = PQgetResult(db)) != NULL) {
		if (PQresultStatus(r) != PGRES_COMMAND_OK && failed == 0)
			failed = ctl_failed("%s", database_complaint(db, r, complaint, sizeof(complaint)));
		PQclear(r);
	}
	return failed == 0 && n == -1 ? 0 : -1;
}

/* The header as far as it is known before the rows. NULL after having said why. */
static json_object *
header_of(PGconn *db, const char *schema, const char *by, json_object *p, char **ret_statement)
{
	const char *values[] = {document_text(p, "relation"), document_text(p, "part")};
	PGresult *r = database_query(db, "select columns, statement, archive_sums($1, $2) as sums, iso_time(now()) as now from archive_export($1, $2)", 2, values);
	static const char *const same[] = {"relation", "part", "first_id", "last_id"};

	if (r == NULL)
		return NULL;
	json_object *header = json_object_new_object(), *sums = document_of(r, "sums");
	json_object_object_add(header, "format", json_object_new_string(ARCHIVE_FORMAT));
	json_object_object_add(header, "schema", json_object_new_string(schema));
	json_object_object_add(header, "schema_version", json_object_new_int(bundle_migrations[bundle_n_migrations - 1].version));
	for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++)
		json_object_object_add(header, same[i], json_object_get(document_member(p, same[i])));
	json_object_object_add(header, "columns", document_of(r, "columns"));
	json_object_object_add(header, "sums", sums);
	json_object_object_add(header, "made_at", json_object_new_string(PQgetvalue(r, 0, PQfnumber(r, "now"))));
	json_object_object_add(header, "made_by", json_object_new_string(by));
	json_object_object_add(p, "sums", json_object_get(sums));
	*ret_statement = strdup(PQgetvalue(r, 0, PQfnumber(r, "statement")));
	PQclear(r);
	if (*ret_statement != NULL)
		return header;
	json_object_put(header);
	return NULL;
}

static int
write_file(PGconn *db, const char *path, json_object *header, const char *statement)
{
	struct archive_writer *w = archive_create(path);

	if (w == NULL)
		return -1;
	if (copy_rows(db, statement, w) != 0) {
		archive_abandon(w);
		return -1;
	}
	return archive_finish_file(w, header);
}

/* Reads it from the disk, as far as this can be said: what the kernel keeps of it is given up first. */
static int
read_back(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd >= 0) {
		(void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
		close(fd);
	}
	struct archive_reader *r = archive_open(path);
	int good = r != NULL ? archive_check(r, path) : -1;
	archive_close(r);
	return good;
}

/* What is there under the name: nothing, or the same. */
static int
check_place(const char *path, const char *sha256)
{
	if (access(path, F_OK) != 0)
		return errno == ENOENT ? 0 : (ctl_failed("%s: %s", path, strerror(errno)), -1);
	struct archive_reader *r = archive_open(path);
	bool same = r != NULL && strcmp(document_text(archive_header(r), "sha256"), sha256) == 0;
	archive_close(r);
	if (!same)
		ctl_failed("%s is there, with other content: move it away, or say another --to", path);
	return same ? 0 : -1;
}

static int
put_in_place(const char *folder, const char *part, const char *path)
{
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC), done = -1;

	if (fd >= 0 && rename(part, path) == 0 && fsync(fd) == 0)
		done = 0;
	else
		ctl_failed("%s: %s", path, strerror(errno));
	if (fd >= 0)
		close(fd);
	return done;
}

char *
archive_export(PGconn *db, const char *folder, const char *schema, const char *by, json_object *p)
{
	struct arena a = {0};
	const char *name = arena_printf(&a, "%s-%s-%s-%s.copy.gz", schema, document_text(p, "relation"), document_text(p, "first_id"), document_text(p, "last_id"));
	const char *path = arena_printf(&a, "%s/%s", folder, name), *part = arena_printf(&a, "%s.part", path);
	char *statement = NULL, *result = NULL;
	json_object *header = NULL;

	if (database_run(db, "begin isolation level repeatable read, read only") == 0 && (header = header_of(db, schema, by, p, &statement)) != NULL
	    && write_file(db, part, header, statement) == 0 && database_run(db, "commit") == 0 && read_back(part) == 0
	    && check_place(path, document_text(header, "sha256")) == 0 && put_in_place(folder, part, path) == 0) {
		json_object_object_add(p, "sha256", json_object_get(document_member(header, "sha256")));
		result = strdup(name);
	}
	if (result == NULL)
		unlink(part);
	json_object_put(header);
	free(statement);
	arena_free(&a);
	return result;
}
