/* What a failure is about, by its SQLSTATE. */
#include <string.h>

#include "pg.h"

enum pg_cause
pg_cause_of(const struct pg_outcome *o)
{
	static const struct { const char *begins; enum pg_cause cause; } causes[] = {
		/* PostgreSQL, appendix A: what is wrong with the data or too large in it, and what our functions raise of it */
		{"22", PG_CAUSE_DATA}, {"23", PG_CAUSE_DATA}, {"54", PG_CAUSE_DATA}, {"P0001", PG_CAUSE_DATA},
		{"40", PG_CAUSE_LOCK}, {"55P03", PG_CAUSE_LOCK},
		/* connections, a read-only server, room and memory, an operator, the system */
		{"57014", PG_CAUSE_OTHER},	/* it took too long: perhaps for what it is */
		{"08", PG_CAUSE_SERVER}, {"25006", PG_CAUSE_SERVER}, {"53", PG_CAUSE_SERVER}, {"57", PG_CAUSE_SERVER}, {"58", PG_CAUSE_SERVER},
	};

	for (size_t i = 0; o->verdict == PG_FAILED && i < sizeof(causes) / sizeof(causes[0]); i++)
		if (strncmp(o->sqlstate, causes[i].begins, strlen(causes[i].begins)) == 0)
			return causes[i].cause;
	return o->verdict == PG_FAILED ? PG_CAUSE_OTHER : PG_CAUSE_SERVER;
}
