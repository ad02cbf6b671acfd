/* The HTTP API: what handlers share. A handler gets a call (a request with its principal and path parameters), and ends it by exactly one of the
 * api_ functions that answer. One file a family of routes; the table is in router.c. */
#ifndef VB_API_API_H
#define VB_API_API_H

#include "core/core.h"
#include "net/http_conn.h"
#include "proto/intake.h"

struct api;

/* Roles as bits, for the table of routes. */
enum { MAY_FEED = 1, MAY_KIOSK = 2, MAY_DESK = 4, MAY_OPS = 8, MAY_ANYONE = 16 };

struct principal {
	unsigned role;			/* one of the bits */
	const char *name;		/* of the token or feed: the client of idempotency keys */
	struct feed *feed;		/* of a feed's token */
	const char *facilities;		/* its scope: text[] literal of the codes it may see, {*} for all; never NULL */
};

enum { CALL_PARAMS = 3 };

struct call {
	struct http_request *request;
	struct core *core;
	struct principal who;
	struct view params[CALL_PARAMS];	/* of the path, decoded, NUL-terminated */
	struct arena *arena;			/* the request's */
};

/* Listens as configured. NULL when it cannot. */
struct api *api_new(struct core *core);
void api_free(struct api *api);
/* No new connections; open ones close when their request is answered. Streams end. */
void api_drain(struct api *api);
size_t api_in_work(const struct api *api);
unsigned api_connections(const struct api *api);
const char *api_address(const struct api *api);

/* Answers. They free the call. */
void api_reply_json(struct call *c, int status, struct view body);
void api_problem(struct call *c, const char *reason, const char *detail, const char *pointer);
void api_refuse(struct call *c, const struct refusal *r);

/* Calls an SQL function that returns (outcome, doc), and answers with doc: `status` where outcome is done, 200 where it is replayed, else the
 * problem that outcome names. No row at all is the problem `missing`. */
void api_reply_sql(struct call *c, enum statement s, const struct pg_param *params, int n, int status, const char *missing);

/* What outcome and doc mean as an answer; for handlers with calls of their own. */
void api_reply_outcome(struct call *c, struct view outcome, struct view doc, int status);
void api_reply_database(struct call *c, const struct pg_outcome *outcome);

struct pg_param api_text(struct view v);		/* null when empty */
/* The caller's scope, as a statement takes it. */
struct pg_param api_facilities(const struct call *c);
/* ?name=value, decoded; empty where absent. */
struct view api_query(struct call *c, const char *name);
/* True, or answered with 415: a body must say application/json. */
bool api_wants_json(struct call *c);

/* The routes' handlers. */
void api_post_visit(struct call *c);
void api_post_discharge(struct call *c);
void api_delete_discharge(struct call *c);
void api_get_visit(struct call *c);
void api_get_visit_bills(struct call *c);
void api_post_charges(struct call *c);
void api_get_bill(struct call *c);
void api_get_bill_events(struct call *c);
void api_post_payment(struct call *c);
void api_get_payment(struct call *c);
void api_post_payment_cancel(struct call *c);
void api_get_receipt(struct call *c);
void api_get_quarantine(struct call *c);
void api_post_replay(struct call *c);
void api_post_wechatpay_notification(struct call *c);
void api_get_healthz(struct call *c);
void api_get_readyz(struct call *c);
void api_get_metrics(struct call *c);

#endif
