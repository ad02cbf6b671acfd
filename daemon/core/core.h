/* The daemon's context: what every part above the database needs. One per process, made by main, passed down; it holds no logic. */
#ifndef VB_CORE_CORE_H
#define VB_CORE_CORE_H

#include <event2/event.h>

#include "base/config.h"
#include "base/metrics.h"
#include "access/directory.h"
#include "access/tokens.h"
#include "db/lane.h"
#include "db/pool.h"
#include "net/conn.h"
#include "net/http_client.h"

struct booking;
struct watch;
struct channels;
struct captures;
struct gauges;
struct health;

struct core {
	struct event_base *base;
	const struct config *config;	/* the current snapshot, held; a reload replaces it, and who needs this one for longer holds it, too */
	struct metrics *metrics;
	struct servers *servers;
	struct pg_config database;	/* of every connection */
	struct pool *pool;
	struct pool *ops_pool;		/* for scrapes and heartbeats, which payments and reads never wait for */
	struct booking *booking;
	struct directory *directory;
	struct tokens *tokens;
	struct peers *peers;
	struct budget budget;
	struct conn_shared shared;	/* of all connections: the loop, the budget, its turns */
	struct http_client *http;
	struct channels *channels;
	struct captures *captures;
	struct gauges *gauges;
	struct health *health;
	struct watch *watch;
	bool configured;		/* setup_apply has run: feeds and facilities have ids */
	bool draining;
};

#endif
