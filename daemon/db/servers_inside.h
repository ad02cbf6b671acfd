/* The inside of the list of servers, shared by servers.c and servers_wait.c, and by nobody else. */
#ifndef VB_DB_SERVERS_INSIDE_H
#define VB_DB_SERVERS_INSIDE_H

#include "host.h"
#include "servers.h"

enum { SAID = 8, SAY_AGAIN_US = 60000000, SAY_SOON_US = 5000000 };

struct server {
	char *host, *address, *port;	/* as the conninfo says; NULL: it does not */
	struct host *named;		/* its host is a name; NULL: it is none, or the conninfo says the address */
	char name[160];
	struct { char why[160]; int64_t at; bool was_well; } said[SAID];	/* what the log was told, and when (0: nothing); was it well since? */
};

struct servers {
	char *conninfo;
	struct server *all;
	size_t n, ours;
	uint64_t system;	/* 0: none was seen yet */
	uint32_t timeline;	/* the newest that was seen */
	char why[320];
};

#endif
