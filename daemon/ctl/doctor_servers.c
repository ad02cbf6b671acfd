/* doctor's look at the servers of the conninfo, one by one: who answers, who does not and what mends that, and whether they belong together. What a server says when
 * it lets nobody in may be in any language, so it is judged by its SQLSTATE; what libpq says is English here. */
#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "database.h"
#include "doctor.h"

enum { LOOK_MS = 3000, STATE = 5 };

struct seen {
	PGconn *db;		/* NULL: it could not be asked */
	struct server_identity id;
};

/* ------- one that cannot be asked */

/* Where the SQLSTATE begins in "…: FATAL:  53300: sorry, …"; NULL where it was not the server that refused. */
static const char *
find_state(const char *why)
{
	for (const char *p = strstr(why, ":  "); p != NULL; p = strstr(p + 1, ":  ")) {
		size_t n = 0;
		while (n < STATE && (isdigit((unsigned char)p[3 + n]) || isupper((unsigned char)p[3 + n])))
			n++;
		if (n == STATE && p[3 + n] == ':')
			return p + 3;
	}
	return NULL;
}

/* What mends it. One sentence never fits all: who takes out of the conninfo what only hangs has a daemon that books on what it left behind. */
static const char *
mend_of(const char *why, bool silent, bool several)
{
	static const struct { const char *state, *mend; } states[] = {
		{"53300", "raise max_connections there, or end some of its sessions (see pg_stat_activity)"},
		{"3D000", "create that database (createdb), or mend dbname in [database] conninfo"},
		{"28P01", "mend the password that [database] conninfo names (passfile)"},
		{"28", "create that role (createuser), or mend user in [database] conninfo; where pg_hba.conf is named, let it in there and reload"},
		{"57P03", "it starts or stops: wait, and where it stays so see its log"},
		{"42501", "let that role call what it may not: by default anybody may"},
	}, words[] = {
		{"its name was not looked up", "mend the name server, or have /etc/hosts know the name"}, {"could not translate host name", "mend its name in [database] conninfo, or have the name server or /etc/hosts know it"},
		{"could not look up host name", "mend its name in [database] conninfo, or have the name server or /etc/hosts know it"},
		{"Connection refused", "start it"},
		{"No such file or directory", "start it; where it runs, mend its folder or port in [database] conninfo"},
		{"Permission denied", "run this as the daemon's user, and let that user reach the folder of its socket"},
		{"timed out", "see its network"}, {"timeout expired", "see its network"}, {"unreachable", "see its network"}, {"No route", "see its network"},
		{"SSL", "mend sslmode and sslrootcert in [database] conninfo, or the server's certificate"},
		{"certificate", "mend sslrootcert in [database] conninfo, or the server's certificate"},
		{"no password supplied", "name a passfile in [database] conninfo, readable by the daemon's user alone, with a line for it"},
	};
	const char *state = find_state(why), *mend = "see its log";

	for (size_t i = 0; state != NULL && i < sizeof(states) / sizeof(states[0]); i++)
		if (strncmp(state, states[i].state, strlen(states[i].state)) == 0)
			return states[i].mend;
	for (size_t i = 0; !silent && state == NULL && i < sizeof(words) / sizeof(words[0]); i++)
		if (strstr(why, words[i].state) != NULL) {
			mend = words[i].mend;
			break;
		}
	if (silent || strcmp(mend, "see its network") == 0)
		mend = several ? "it hangs, or is cut off: see its disk and its network; if it may be the newer primary leave it in and stop the other one"
		    : "it hangs, or is cut off: see its disk and its network";
	return mend;
}

/* A name may have several addresses, each with a complaint: the last one decided. */
static const char *
last_of(const char *why)
{
	static const char begins[] = "connection to server ";

	for (const char *next; (next = why[0] != '\0' ? strstr(why + 1, begins) : NULL) != NULL; )
		why = next;
	return why;
}

/* In one line, and without the code. */
static const char *
complaint_of(struct doctor *d, const char *why)
{
	int length = (int)strcspn(why, "\n");	/* the lines after it are advice, and where in its source */
	const char *state = find_state(why);

	if (state == NULL || state > why + length)
		return arena_printf(&d->arena, "%.*s", length, why);
	int before = (int)(state - 1 - why), rest = (int)(why + length - (state + STATE + 1));
	return arena_printf(&d->arena, "%.*s%.*s", before, why, rest, state + STATE + 1);
}

/* A name is looked up before each connection, which waits for it. That it is not known at all the server's line says. */
static void
tell_name(struct doctor *d, const char *server, bool found, int64_t took_ms)
{
	enum { LONG_MS = 1000 };

	if (took_ms >= LONG_MS)
		doctor_say(d, false, arena_printf(&d->arena, "name of %s", server), arena_printf(&d->arena, "%s in %" PRId64 " ms", found ? "found" : "not found", took_ms),
		    "each connection waits for that: put it into /etc/hosts, or hostaddr into [database] conninfo, or mend the name server");
}

static void
look(struct doctor *d, const struct servers *s, size_t n, struct seen *ret)
{
	const char *address, *no_name = NULL;
	int64_t before = clock_monotonic();
	bool found = servers_find_wait(s, n, LOOK_MS, &address, &no_name);
	tell_name(d, servers_name(s, n), found, (clock_monotonic() - before) / 1000);
	ret->db = found ? servers_connect(s, n, address, "visitbillctl", "", LOOK_MS) : NULL;
	if (ret->db != NULL)
		PQsetErrorVerbosity(ret->db, PQERRORS_VERBOSE);
	enum servers_answer answer = found ? servers_identify(ret->db, LOOK_MS, &ret->id) : SERVERS_FAILED;
	if (answer == SERVERS_ANSWERED) {
		PQsetErrorVerbosity(ret->db, PQERRORS_DEFAULT);
		return;
	}
	bool silent = answer == SERVERS_SILENT;
	const char *why = silent ? "no answer in time" : !found ? no_name : last_of(PQerrorMessage(ret->db));
	doctor_say(d, false, arena_printf(&d->arena, "server %s", servers_name(s, n)), complaint_of(d, why), mend_of(why, silent, servers_count(s) > 1));
	PQfinish(ret->db);
	ret->db = NULL;
}

/* ------- those that answer */

/* The names of those that could not be asked; NULL: none. */
static const char *
unknown(struct doctor *d, const struct servers *s, const struct seen *seen)
{
	const char *names = NULL;

	for (size_t i = 0; i < servers_count(s); i++)
		if (seen[i].db == NULL)
			names = arena_printf(&d->arena, "%s%s%s", names != NULL ? names : "", names != NULL ? ", " : "", servers_name(s, i));
	return names;
}

static void
tell(struct doctor *d, const struct servers *s, const struct seen *seen)
{
	const char *names = unknown(d, s, seen);

	for (size_t i = 0; i < servers_count(s); i++) {
		const char *found = "a standby";
		if (seen[i].db == NULL)
			continue;
		if (!seen[i].id.standby)
			found = arena_printf(&d->arena, "%s primary, timeline %u%s%s%s", names != NULL ? "a" : "the", seen[i].id.timeline,
			    names != NULL ? "; the timeline of " : "", names != NULL ? names : "", names != NULL ? " is not known: that may be the newer primary, and this one"
			    " be left behind" : "");
		doctor_say(d, true, arena_printf(&d->arena, "server %s", servers_name(s, i)), found, "");
	}
}

/* What of the primary's log up to $1 a standby has not replayed. The age alone says nothing: nothing may have happened. */
static const char lag_sql[] =
    "select l.rest > 0 and l.age > interval '1 minute', case when l.rest > 0 and l.age is not null then 'its newest transaction is ' || justify_hours(l.age)"
    " || ' old, ' else '' end || pg_size_pretty(l.rest) || ' of log wait for replay' || case when l.missing > 0 then ', ' || pg_size_pretty(l.missing)"
    " || ' of it not received' else '' end, case when pg_is_wal_replay_paused() then 'replay is paused there: select pg_wal_replay_resume()'"
    " when l.delay <> '0' then 'recovery_min_apply_delay is set there: a standby to fail over to has none'"
    " when l.missing > 0 then 'see its log, and the network: what it has not received is lost with the primary'"
    " else 'see its disk, and long reads on it: it takes over only once it has replayed all of that' end"
    " from (select greatest(pg_wal_lsn_diff($1::pg_lsn, pg_last_wal_replay_lsn()), 0) as rest, greatest(pg_wal_lsn_diff($1::pg_lsn, pg_last_wal_receive_lsn()), 0)"
    "    as missing, date_trunc('second', clock_timestamp() - pg_last_xact_replay_timestamp()) as age, current_setting('recovery_min_apply_delay') as delay) l";

/* Behind by minutes, and not only for a moment after a quiet hour: asked again for the same point after a while. */
static void
check_lag(struct doctor *d, PGconn *primary, PGconn *standby, const char *name)
{
	enum { IS_BEHIND, FOUND, MEND, TRIES = 5, PAUSE_US = 200000 };
	PGresult *point = database_query(primary, "select pg_current_wal_flush_lsn()", 0, NULL), *r = NULL;
	const char *values[] = {point != NULL ? PQgetvalue(point, 0, 0) : NULL};

	for (int i = 0; point != NULL && i < TRIES; i++) {
		PQclear(r);
		if ((r = database_query(standby, lag_sql, 1, values)) == NULL || PQgetvalue(r, 0, IS_BEHIND)[0] != 't')
			break;
		usleep(PAUSE_US);
	}
	if (r != NULL)
		doctor_say(d, PQgetvalue(r, 0, IS_BEHIND)[0] != 't', arena_printf(&d->arena, "standby %s", name), arena_printf(&d->arena, "%s", PQgetvalue(r, 0, FOUND)),
		    arena_printf(&d->arena, "%s", PQgetvalue(r, 0, MEND)));
	else
		d->bad++;	/* the complaint is on stderr */
	PQclear(r);
	PQclear(point);
}

/* Servers that do not belong together, or not as primary and standby. Returns the one to look into: the primary on the newest timeline, or the only one that is
 * named; -1: none. */
static int
judge(struct doctor *d, const struct servers *s, const struct seen *seen)
{
	size_t primaries = 0;
	int first = -1, ours = -1;

	for (size_t i = 0; i < servers_count(s); i++) {
		const struct server_identity *id = &seen[i].id;
		if (seen[i].db == NULL)
			continue;
		if (first < 0)
			first = (int)i;
		if (id->system != seen[first].id.system) {
			doctor_say(d, false, "clusters", arena_printf(&d->arena, "%s is system %" PRIu64 ", %s is system %" PRIu64, servers_name(s, (size_t)first),
			    seen[first].id.system, servers_name(s, i), id->system), "take the one out of [database] conninfo that is not this hospital's");
			return -1;
		}
		primaries += !id->standby;
		if (!id->standby && (ours < 0 || id->timeline > seen[ours].id.timeline))
			ours = (int)i;
	}
	if (primaries > 1)
		doctor_say(d, false, "primaries", arena_printf(&d->arena, "%zu of them", primaries),
		    "stop the one on the older timeline, and make it a standby of the other (pg_rewind, or a new base backup)");
	if (primaries == 0 && first >= 0)
		doctor_say(d, false, "primaries", "none, so nothing can be booked",
		    unknown(d, s, seen) != NULL ? "mend the one that cannot be asked, or where it is lost promote the standby"
		    : "name the primary in [database] conninfo, too, or where it is lost promote the standby");
	return ours < 0 && servers_count(s) == 1 ? first : ours;
}

PGconn *
doctor_servers(struct doctor *d, struct servers *s)
{
	size_t n = servers_count(s);
	struct seen *seen = memory_new(n * sizeof(*seen));

	for (size_t i = 0; i < n; i++)
		look(d, s, i, &seen[i]);
	tell(d, s, seen);
	int ours = judge(d, s, seen);
	PGconn *db = ours >= 0 ? seen[ours].db : NULL;
	for (size_t i = 0; i < n; i++) {
		if ((int)i == ours)
			continue;
		if (db != NULL && seen[i].db != NULL && seen[i].id.standby)
			check_lag(d, db, seen[i].db, servers_name(s, i));
		PQfinish(seen[i].db);
	}
	free(seen);
	return db;
}
