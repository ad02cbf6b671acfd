/* The inside of the outbound client, shared by http_client.c (libcurl on the loop, the life of an exchange) and http_exchange.c (what one request is and
 * what its answer was), and by nobody else. */
#ifndef VB_NET_HTTP_CLIENT_INSIDE_H
#define VB_NET_HTTP_CLIENT_INSIDE_H

#include <curl/curl.h>
#include <stdbool.h>
#include <sys/queue.h>

#include "http_client.h"

struct bytes {
	char *p;
	size_t used, room;
};

/* One request, from http_client_send to its callback. */
struct exchange {
	TAILQ_ENTRY(exchange) link;
	struct http_client *client;
	CURL *easy;
	bool added;			/* to the multi handle */
	struct curl_slist *headers;
	struct event *deadline;		/* ends it, whatever libcurl thinks */
	http_client_fn fn;
	void *arg;
	bool sent;			/* a connection was ready and the request began to leave */
	const char *spoiled;		/* why it is ended by us, if it is */
	struct bytes head, body;
	char error[CURL_ERROR_SIZE];
};

TAILQ_HEAD(exchange_list, exchange);

struct http_client {
	struct event_base *base;
	CURLM *multi;
	struct event *timer;		/* libcurl's */
	struct exchange_list exchanges;
	size_t count;
	char *proxy, *authorities;
	bool calling;			/* inside a callback of a caller's */
};

/* ------- http_exchange.c */

/* How every transfer of ours is made. */
void exchange_set_up(struct exchange *x);
/* Returns why not, or NULL. */
const char *exchange_set_request(struct exchange *x, const struct http_client_request *r);

#endif
