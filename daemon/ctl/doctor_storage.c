/* doctor's look at what fills the server's disk: WAL that an archiver, a slot or a standby holds back. How much is free only the machine itself knows, and
 * where the data are only a role that may read all settings, or who may look at the server's process. */
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "database.h"
#include "doctor.h"

static const char archive_sql[] =
    "select a.mode = 'off' or a.is_well, case when a.mode = 'off' then 'off, so a base backup can be restored to its own end only'"
    "    when a.is_well then coalesce('the last file went at ' || to_char(last_archived_time, 'YYYY-MM-DD HH24:MI'), 'on, and no file was due yet')"
    "    else format('%s failed %s times, the last at %s', last_failed_wal, failed_count, to_char(last_failed_time, 'YYYY-MM-DD HH24:MI')) end"
    " from (select *, current_setting('archive_mode') as mode, last_failed_time is null or coalesce(last_archived_time > last_failed_time, false) as is_well"
    "    from pg_stat_archiver) a";

/* One that nobody reads is looked at by how much it holds; one that lost what it needs is of no more use. */
static const char slots_sql[] =
    "select count(*) filter (where s.wal_status in ('unreserved', 'lost') or (not s.active and s.held > 1024 * 1024 * 1024)) = 0,"
    " coalesce(string_agg(format('%s (%s) %s', s.slot_name, case when s.active then 'in use' else 'nobody reads it' end,"
    "    case when s.wal_status = 'lost' then 'has lost its WAL' else 'holds ' || pg_size_pretty(s.held) end), ', ' order by s.slot_name), 'none')"
    " from (select slot_name, active, wal_status, greatest(pg_wal_lsn_diff(case when pg_is_in_recovery() then pg_last_wal_replay_lsn()"
    "    else pg_current_wal_lsn() end, restart_lsn), 0) as held from pg_replication_slots) s";

static const char wal_sql[] =
    "select w.held <= 4 * w.most + w.keeps, format('%s, max_wal_size is %s', pg_size_pretty(w.held), pg_size_pretty(w.most))"
    " from (select (select coalesce(sum(size), 0) from pg_ls_waldir())::bigint as held, pg_size_bytes(current_setting('max_wal_size')) as most,"
    "    pg_size_bytes(current_setting('wal_keep_size')) as keeps) w";

/* Is the server's file system ours? */
static bool
is_local(const PGconn *db)
{
	const char *host = PQhost(db), *address = PQhostaddr(db);

	return (host != NULL && (host[0] == '/' || host[0] == '@'))
	    || (address != NULL && (strncmp(address, "127.", 4) == 0 || strcmp(address, "::1") == 0));
}

/* The folder of the data as its process has it, which is where it works: for the server's own user and root. NULL where that is not to be seen. */
static const char *
folder_of_process(struct doctor *d, const PGconn *db)
{
	char target[PATH_MAX], name[16] = "";
	FILE *f = fopen(arena_printf(&d->arena, "/proc/%d/comm", PQbackendPID(db)), "re");

	if (f == NULL)
		return NULL;
	bool is_server = fgets(name, sizeof(name), f) != NULL && strncmp(name, "postgres", 8) == 0;	/* in a container the number may be another's */
	fclose(f);
	ssize_t n = is_server ? readlink(arena_printf(&d->arena, "/proc/%d/cwd", PQbackendPID(db)), target, sizeof(target) - 1) : -1;
	return n > 0 ? arena_printf(&d->arena, "%.*s", (int)n, target) : NULL;
}

static void
check_disk(struct doctor *d, const char *what, const char *folder)
{
	enum { GIB = 1024 * 1024 * 1024, LEAST_GIB = 2, LEAST_PERCENT = 5 };
	struct statvfs fs;

	if (statvfs(folder, &fs) != 0) {
		doctor_note(d, what, arena_printf(&d->arena, "%s cannot be reached by this user", folder), "run this as the server's user, or watch its disk");
		return;
	}
	uint64_t unit = fs.f_frsize, free = fs.f_bavail * unit, all = fs.f_blocks * unit;
	uint64_t percent = all > 0 ? free * 100 / all : 0;
	doctor_say(d, free >= LEAST_GIB * (uint64_t)GIB && percent >= LEAST_PERCENT, what,
	    arena_printf(&d->arena, "%.1f GiB free, %" PRIu64 " %%, where %s is", (double)free / GIB, percent, folder),
	    "make room: a full disk stops everything that is booked; see wal, slots and archive above, and visitbillctl archive for years that are settled");
}

/* WAL may be on a disk of its own; only the server's user and root may see that. */
static void
check_disks(struct doctor *d, const char *folder)
{
	const char *wal = arena_printf(&d->arena, "%s/pg_wal", folder);
	struct stat data_at, wal_at;

	check_disk(d, "disk", folder);
	if (stat(folder, &data_at) == 0 && stat(wal, &wal_at) == 0 && data_at.st_dev != wal_at.st_dev)
		check_disk(d, "disk of WAL", wal);
}

void
doctor_storage(struct doctor *d, PGconn *db)
{
	enum { FOLDER, MAY_LIST };

	doctor_row(d, db, "archive", archive_sql, "mend archive_command, see the server's log: until then nothing can be restored beyond it, and WAL fills the disk");
	doctor_row(d, db, "slots", slots_sql, "start who reads it, or pg_drop_replication_slot(): it keeps WAL until the disk is full; max_slot_wal_keep_size bounds that");
	PGresult *r = database_query(db, "select (select setting from pg_settings where name = 'data_directory'), has_function_privilege('pg_ls_waldir()', 'execute')",
	    0, NULL);
	if (r == NULL) {
		d->bad++;
		return;
	}
	if (PQgetvalue(r, 0, MAY_LIST)[0] == 't')
		doctor_row(d, db, "wal", wal_sql, "see what holds it: a slot, the archiver, or a checkpoint that cannot keep up");
	const char *folder = !PQgetisnull(r, 0, FOLDER) ? PQgetvalue(r, 0, FOLDER) : is_local(db) ? folder_of_process(d, db) : NULL;
	if (folder == NULL)
		doctor_note(d, "disk", arena_printf(&d->arena, "%s may not know where the data are", PQuser(db)),
		    arena_printf(&d->arena, "grant pg_monitor to %s, or watch the server's disk otherwise", PQuser(db)));
	else if (!is_local(db))
		doctor_note(d, "disk", "the server is another machine", "watch its disk there");
	else
		check_disks(d, folder);
	PQclear(r);
}
