/* Two statements. A use that could not be told is lost: the next one says the same. */
#include "token_sync.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "access/principal.h"
#include "base/log.h"
#include "base/memory.h"
#include "db/column.h"

enum changed_column { T_ID, T_NAME, T_SHA256, T_ROLE, T_FACILITIES, T_FEED, T_EXPIRES, T_REVOKED, T_CHANGED };

struct sync {
	struct tokens *tokens;
	job_over_fn over;
	void *job;
};

static struct sync *
sync_new(struct tokens *tokens, job_over_fn over, void *job)
{
	struct sync *s = memory_new(sizeof(*s));

	*s = (struct sync){tokens, over, job};
	return s;
}

static void
sync_end(struct sync *s)
{
	s->over(s->job, false);
	free(s);
}

static void
put_row(struct tokens *t, const PGresult *rows, int row)
{
	size_t n;
	unsigned char *hash = PQunescapeBytea((const unsigned char *)PQgetvalue(rows, row, T_SHA256), &n);
	struct token token = {
		.token_id = strtoll(PQgetvalue(rows, row, T_ID), NULL, 10), .name = PQgetvalue(rows, row, T_NAME),
		.role = role_bit_of(PQgetvalue(rows, row, T_ROLE)), .facilities = PQgetvalue(rows, row, T_FACILITIES),
		.feed = PQgetvalue(rows, row, T_FEED), .expires_at = strtoll(PQgetvalue(rows, row, T_EXPIRES), NULL, 10),
		.revoked = PQgetvalue(rows, row, T_REVOKED)[0] == 't',
	};

	if (hash == NULL || n != TOKEN_HASH)
		fatal("a token's hash is not one");
	memcpy(token.sha256, hash, TOKEN_HASH);
	PQfreemem(hash);
	tokens_put(t, &token, strtoll(PQgetvalue(rows, row, T_CHANGED), NULL, 10));
}

static void
on_changed(void *arg, const struct pg_outcome *outcome, const PGresult *rows)
{
	struct sync *s = arg;

	if (outcome->verdict == PG_FAILED)
		log_error("job.failed", "job=tokens sqlstate=%s why=\"%s\"", outcome->sqlstate, outcome->message);
	for (int row = 0; outcome->verdict == PG_DONE && row < PQntuples(rows); row++)
		put_row(s->tokens, rows, row);
	if (outcome->verdict == PG_DONE)
		tokens_set_known(s->tokens);
	sync_end(s);
}

void
tokens_refresh(struct tokens *t, struct pool *pool, job_over_fn over, void *job)
{
	char since[24];
	struct sync *s = sync_new(t, over, job);

	snprintf(since, sizeof(since), "%" PRId64, tokens_changed(t));
	struct pg_param params[] = {{view_of(since), false}};
	if (pool_call(pool, SQL_TOKENS_CHANGED, params, 1, on_changed, s) != 0)
		sync_end(s);
}

static void
on_told(void *arg, const struct pg_outcome *outcome, const PGresult *rows)
{
	(void)rows;
	if (outcome->verdict == PG_FAILED)
		log_error("job.failed", "job=tokens_used sqlstate=%s why=\"%s\"", outcome->sqlstate, outcome->message);
	sync_end(arg);
}

void
tokens_tell_used(struct tokens *t, struct pool *pool, job_over_fn over, void *job)
{
	struct column ids = {0}, times = {0}, peers = {0};
	struct sync *s = sync_new(t, over, job);

	column_reset(&ids);
	column_reset(&times);
	column_reset(&peers);
	for (struct token *k = tokens_used_next(t, NULL); k != NULL; k = tokens_used_next(t, k)) {
		column_int8(&ids, k->token_id);
		column_timestamp(&times, k->used_at);
		column_text(&peers, view_of(k->used_by));
	}
	struct pg_param params[] = {{column_value(&ids, PG_INT8), true}, {column_value(&times, PG_TIMESTAMPTZ), true}, {column_value(&peers, PG_TEXT), true}};
	if (ids.count == 0 || pool_call(pool, SQL_TOKENS_USED, params, 3, on_told, s) != 0)
		sync_end(s);
	else
		for (struct token *k = tokens_used_next(t, NULL), *next; k != NULL; k = next) {
			next = tokens_used_next(t, k);
			k->used_at = 0;
		}
	column_free(&ids);
	column_free(&times);
	column_free(&peers);
}
