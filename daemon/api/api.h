/* The HTTP API: what handlers share. A handler gets a call (a request with its principal and path parameters), and ends it by exactly one of the
 * api_ functions that answer. One file a family of routes; the table is in router.c. */
#ifndef VB_API_API_H
#define VB_API_API_H

#include "access/principal.h"
#include "core/core.h"
#include "net/http_conn.h"
#include "proto/intake.h"

struct api;

enum { CALL_PARAMS = 3 };

struct route;

struct call {
	struct http_request *request;
	struct core *core;
	const struct config *settings;		/* held: the call ends by those it began with */
	const struct route *route;		/* NULL: there is none */
	struct refusal refused;			/* judged by the header: the answer, without looking at a body */
	struct principal who;
	struct peer *peer;			/* NULL without a socket; valid as long as request->conn is */
	struct view params[CALL_PARAMS];	/* of the path, decoded, NUL-terminated */
	struct arena *arena;			/* the request's */
	void *own;				/* the handler's */
};

struct api *api_new(struct core *core);
void api_free(struct api *api);
/* A new connection; serves: bits of enum config_serves, what may be asked on it. */
void api_accept(struct api *api, evutil_socket_t fd, struct place *place, unsigned serves);
/* The same on a bufferevent, for the fuzzer. */
void api_accept_on(struct api *api, struct bufferevent *bev, unsigned serves);
/* Open connections close when their request is answered. Streams end. */
void api_drain(struct api *api);
/* Certificates or revocation lists were loaded anew: who is no longer accepted is cut. */
void api_check_certificates(struct api *api);
size_t api_in_work(const struct api *api);
unsigned api_connections(const struct api *api);

/* Judges a request by its header: its route, who is asking, whether they may. Makes the call; returns how long a body is taken, or -1. */
int64_t api_judge(struct core *core, struct http_request *r, unsigned serves);
/* Would the caller of an open stream still be let in: neither revoked nor expired, of the same role and scope? */
bool api_still_known(struct call *c);
/* The whole request is there: has it handled, or answers what was judged. */
void api_handle(struct http_request *r);
/* A request that is none: answers it. */
void api_malformed(struct core *core, struct http_request *r, const char *reason, const char *detail);

/* Answers. They free the call. */
void api_reply_json(struct call *c, int status, struct view body);
void api_problem(struct call *c, const char *reason, const char *detail, const char *pointer);
void api_refuse(struct call *c, const struct refusal *r);

/* Calls an SQL function that returns (outcome, doc), and answers with doc: `status` where outcome is done, 200 where it is replayed, else the
 * problem that outcome names. No row at all is the problem `missing`. */
void api_reply_sql(struct call *c, enum statement s, const struct pg_param *params, int n, int status, const char *missing);

/* What outcome and doc mean as an answer; for handlers with calls of their own. */
void api_reply_outcome(struct call *c, enum outcome outcome, struct view doc, int status);
void api_reply_database(struct call *c, const struct pg_outcome *outcome);

struct pg_param api_text(struct view v);		/* null when empty */
struct pg_param api_number(struct call *c, int64_t n);	/* its text, in the arena */
/* The caller's scope, as a statement takes it. */
struct pg_param api_facilities(const struct call *c);
/* ?name=value, decoded; empty where absent. */
struct view api_query(struct call *c, const char *name);
/* The same as a number from 0 to 18 digits; `fallback` where absent, -1 where it is none. */
int64_t api_query_number(struct call *c, const char *name, int64_t fallback);
/* Is it the number of a row, of 1 to 18 digits? A parameter of the path ends with NUL. */
bool api_is_id(struct view v);
/* The Idempotency-Key as text of the arena; false, and answered, when it is none that can be kept. Empty where absent. */
bool api_idempotency_key(struct call *c, struct view *ret);
/* True, or answered with 415: a body must say application/json. */
bool api_wants_json(struct call *c);

/* Reads what a replay or dismissal of many is of. False where it is answered: it is none, or a dry run. */
struct quarantine_request;
bool api_quarantine_request(struct call *c, struct quarantine_request *ret);

/* The routes' handlers. */
void api_post_visit(struct call *c);
void api_post_discharge(struct call *c);
void api_delete_discharge(struct call *c);
void api_get_visit(struct call *c);
void api_get_visit_bills(struct call *c);
void api_post_settle(struct call *c);
void api_get_statement(struct call *c);
void api_post_charges(struct call *c);
void api_get_bill(struct call *c);
void api_get_bill_events(struct call *c);
void api_post_payment(struct call *c);
void api_get_payment(struct call *c);
void api_post_payment_cancel(struct call *c);
void api_get_receipt(struct call *c);
void api_get_quarantine(struct call *c);
void api_post_replay(struct call *c);
void api_post_replays(struct call *c);
void api_post_dismissals(struct call *c);
void api_get_feed(struct call *c);
void api_get_lookalikes(struct call *c);
void api_post_lookalike_dismiss(struct call *c);
void api_post_feed_try(struct call *c);
void api_post_wechatpay_notification(struct call *c);
void api_get_healthz(struct call *c);
void api_get_readyz(struct call *c);
void api_get_metrics(struct call *c);

#endif
