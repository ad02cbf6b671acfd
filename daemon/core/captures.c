/* The lane of captures. A capture carries its own idempotency (the channel's transaction id), so a batch may be sent again. */
#include "captures.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/memory.h"
#include "db/column.h"
#include "proto/arena.h"
#include "proto/hash.h"

/* A channel waits five seconds for its answer: it has to have one before that, whatever happens. */
enum { BATCH = 200, HOLD_MS = 2500, LOCK_MS = 500 };

struct captures {
	struct lane *lane;
	size_t in_work;
};

struct item {
	struct lane_item item;		/* first */
	struct arena arena;
	struct capture capture;
	capture_fn fn;
	void *arg;
	enum outcome outcome;		/* once the batch is committed */
};

enum capture_column { C_CHANNEL, C_MERCHANT, C_ORDER, C_TRANSACTION, C_AMOUNT, C_AT, C_COLUMNS };

static void
on_rows(void *arg, const PGresult *result)
{
	struct lane_list *batch = arg;
	struct lane_item *i;
	int row = 0, column = PQfnumber(result, "outcome");

	STAILQ_FOREACH(i, batch, link) {
		if (row >= PQntuples(result))
			return;
		((struct item *)i)->outcome = outcome_of(view_of(PQgetvalue(result, row++, column)));
	}
}

static int
captures_send(void *ctx, struct pg *pg, struct lane_list *batch)
{
	static const enum pg_type types[C_COLUMNS] = {PG_TEXT, PG_TEXT, PG_TEXT, PG_TEXT, PG_INT8, PG_TIMESTAMPTZ};
	struct column c[C_COLUMNS] = {0};
	struct pg_param params[C_COLUMNS];
	struct lane_item *i;

	(void)ctx;
	for (unsigned k = 0; k < C_COLUMNS; k++)
		column_reset(&c[k]);
	STAILQ_FOREACH(i, batch, link) {
		const struct capture *x = &((struct item *)i)->capture;
		column_text(&c[C_CHANNEL], view_of(x->channel));
		column_text(&c[C_MERCHANT], view_of(x->merchant));
		column_text(&c[C_ORDER], view_of(x->out_trade_no));
		column_text(&c[C_TRANSACTION], view_of(x->transaction_id));
		column_int8(&c[C_AMOUNT], x->amount);
		column_timestamp(&c[C_AT], x->captured_at);
	}
	for (unsigned k = 0; k < C_COLUMNS; k++)
		params[k] = (struct pg_param){column_value(&c[k], types[k]), true};
	int result = pg_call(pg, SQL_PAYMENT_CAPTURES, params, C_COLUMNS, on_rows, batch);
	for (unsigned k = 0; k < C_COLUMNS; k++)
		column_free(&c[k]);
	return result;
}

static void
item_end(struct captures *c, struct item *x, enum outcome outcome)
{
	c->in_work--;
	x->fn(x->arg, outcome);
	arena_free(&x->arena);
	free(x);
}

static void
captures_done(void *ctx, struct lane_list *batch, int64_t took_us)
{
	struct lane_item *i;

	(void)took_us;
	while ((i = STAILQ_FIRST(batch)) != NULL) {
		struct item *x = (struct item *)i;
		STAILQ_REMOVE_HEAD(batch, link);
		item_end(ctx, x, x->outcome != OUTCOME_NONE ? x->outcome : OUTCOME_INTERNAL);
	}
}

static void
captures_failed(void *ctx, struct lane_item *i, enum lane_failure why, const char *message)
{
	struct item *x = (struct item *)i;

	log_error("capture.failed", "out_trade_no=%s transaction=%s why=\"%s\"", x->capture.out_trade_no, x->capture.transaction_id, message);
	item_end(ctx, x, why == LANE_UNAVAILABLE ? OUTCOME_UNAVAILABLE : OUTCOME_INTERNAL);
}

struct captures *
captures_new(struct core *core)
{
	static const struct lane_ops ops = {captures_send, captures_done, captures_failed, NULL};
	struct captures *c = memory_new(sizeof(*c));
	const struct config *config = core->config;
	struct pg_config pg = core->database;
	int64_t hold_ms = config->database.hold_ms < HOLD_MS ? config->database.hold_ms : HOLD_MS;
	struct lane_limits limits = {BATCH, hold_ms * 1000};

	pg.answer_ms = pg.answer_ms < HOLD_MS ? pg.answer_ms : HOLD_MS;
	pg.lock_ms = LOCK_MS;

	c->lane = lane_new(core->base, &pg, "captures", &limits, &ops, c);
	return c;
}

void
captures_free(struct captures *c)
{
	if (c == NULL)
		return;
	lane_free(c->lane);
	free(c);
}

void
captures_add(struct captures *c, const struct capture *capture, capture_fn fn, void *arg)
{
	struct item *x = memory_new(sizeof(*x));

	arena_init(&x->arena, 1024);
	x->item.weight = 1;
	x->item.key = hash_text(view_of(capture->out_trade_no), 0);
	x->capture = *capture;
	x->capture.channel = arena_copy(&x->arena, capture->channel, strlen(capture->channel)).p;
	x->capture.merchant = arena_copy(&x->arena, capture->merchant, strlen(capture->merchant)).p;
	x->capture.out_trade_no = arena_copy(&x->arena, capture->out_trade_no, strlen(capture->out_trade_no)).p;
	x->capture.transaction_id = arena_copy(&x->arena, capture->transaction_id, strlen(capture->transaction_id)).p;
	x->fn = fn;
	x->arg = arg;
	c->in_work++;
	lane_push(c->lane, &x->item);
}

size_t
captures_in_work(const struct captures *c)
{
	return c->in_work;
}
