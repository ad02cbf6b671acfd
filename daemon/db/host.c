/* What is known of a host's addresses, and the look-up under way: by getaddrinfo_a, which asks as the system does (nsswitch.conf) in a thread of its own. Who
 * connects, and when, is not said here. */
#include "host.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"

enum { ADDRESSES = 4, FRESH_US = 5000000 };

struct host {
	char *name;
	struct gaicb *asked;		/* the look-up under way, NULL: none */
	int64_t asked_at;		/* monotonic; 0: never */
	char addresses[ADDRESSES][INET6_ADDRSTRLEN];
	size_t n, next;
	char why[320];			/* the last look-up failed; "": it did not */
};

static const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};

bool
host_is_name(const char *host)
{
	unsigned char address[16];

	return host != NULL && host[0] != '\0' && host[0] != '/' && host[0] != '@' && strchr(host, ':') == NULL && inet_pton(AF_INET, host, address) != 1;
}

struct host *
host_new(const char *name)
{
	struct host *h = memory_new(sizeof(*h));

	h->name = memory_text(name, strlen(name));
	return h;
}

static void
asked_free(struct gaicb *g)
{
	if (g->ar_result != NULL)
		freeaddrinfo(g->ar_result);
	free((char *)g->ar_name);
	free(g);
}

void
host_free(struct host *h)
{
	if (h == NULL)
		return;
	/* what its thread is at stays its own: this happens at the end of the process */
	if (h->asked != NULL && (gai_error(h->asked) != EAI_INPROGRESS || gai_cancel(h->asked) == EAI_CANCELED))
		asked_free(h->asked);
	free(h->name);
	free(h);
}

static void
host_ask(struct host *h)
{
	struct gaicb *g = memory_new(sizeof(*g));

	g->ar_name = memory_text(h->name, strlen(h->name));
	g->ar_request = &hints;
	h->asked_at = clock_monotonic();
	int error = getaddrinfo_a(GAI_NOWAIT, &g, 1, NULL);
	if (error == 0) {
		h->asked = g;
		return;
	}
	snprintf(h->why, sizeof(h->why), "could not look up host name \"%s\": %s", h->name, gai_strerror(error));
	asked_free(g);
}

static void
take_addresses(struct host *h, const struct addrinfo *found)
{
	h->n = 0;
	for (const struct addrinfo *a = found; a != NULL && h->n < ADDRESSES; a = a->ai_next)
		if (getnameinfo(a->ai_addr, a->ai_addrlen, h->addresses[h->n], sizeof(h->addresses[0]), NULL, 0, NI_NUMERICHOST) == 0)
			h->n++;
	h->why[0] = '\0';
	if (h->n == 0)
		snprintf(h->why, sizeof(h->why), "could not translate host name \"%s\" to address: it has none", h->name);
}

/* Takes what a look-up has brought. */
static void
host_take(struct host *h)
{
	int error = h->asked != NULL ? gai_error(h->asked) : EAI_INPROGRESS;

	if (error == EAI_INPROGRESS)
		return;
	if (error == 0)
		take_addresses(h, h->asked->ar_result);
	else	/* in libpq's words */
		snprintf(h->why, sizeof(h->why), "could not translate host name \"%s\" to address: %s", h->name, gai_strerror(error));
	asked_free(h->asked);
	h->asked = NULL;
}

const char *
host_address(struct host *h, const char **ret_why)
{
	*ret_why = NULL;
	host_take(h);
	bool failed = h->why[0] != '\0';
	if (h->asked == NULL && (h->asked_at == 0 || clock_monotonic() - h->asked_at > FRESH_US))
		host_ask(h);
	if (h->n > 0)
		return h->addresses[h->next++ % h->n];
	if (failed)
		*ret_why = h->why;
	return NULL;
}

void
host_wait(struct host *h, int64_t limit_ms)
{
	struct timespec limit = {limit_ms / 1000, limit_ms % 1000 * 1000000};
	const struct gaicb *const asked[] = {h->asked};

	if (h->asked != NULL)
		gai_suspend(asked, 1, &limit);
}
