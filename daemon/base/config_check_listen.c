/* Judging the listeners: what each serves, its TLS, its address; and that they do not meet. */
#include "settings.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "memory.h"

#define WRONG(...) return reading_wrong(r, "listen", i, __VA_ARGS__)

enum { WORD_SHOWN = 60 };

/* IPv4 in the first four bytes. */
struct address {
	bool is_ipv6;
	unsigned char bytes[16];
	unsigned port;
};

/* 127.0.0.1:80, [::1]:80. Returns 0 or -1. */
static int
parse_address(const char *text, struct address *ret)
{
	struct address a = {.is_ipv6 = text[0] == '['};
	char host[INET6_ADDRSTRLEN];
	const char *colon = strrchr(text, ':');

	if (colon == NULL || colon == text)
		return -1;
	const char *start = text + a.is_ipv6;
	size_t n = (size_t)(colon - start);
	if (a.is_ipv6 && (n == 0 || colon[-1] != ']'))
		return -1;
	n -= a.is_ipv6;
	if (n >= sizeof(host))
		return -1;
	memcpy(host, start, n);
	host[n] = '\0';
	size_t digits = strspn(colon + 1, "0123456789");
	if (digits < 1 || digits > 5 || colon[1 + digits] != '\0')
		return -1;
	a.port = (unsigned)strtoul(colon + 1, NULL, 10);
	if (a.port > 65535 || inet_pton(a.is_ipv6 ? AF_INET6 : AF_INET, host, a.bytes) != 1)
		return -1;
	*ret = a;
	return 0;
}

static bool
is_loopback(const struct address *a)
{
	static const unsigned char ipv6_loopback[16] = {[15] = 1};

	return a->is_ipv6 ? memcmp(a->bytes, ipv6_loopback, 16) == 0 : a->bytes[0] == 127;
}

static bool
is_same_address(const struct address *a, const struct address *b)
{
	return a->is_ipv6 == b->is_ipv6 && a->port == b->port && memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

/* Its bits; 0 where a word is unknown or does not go with another, with what is wrong in the error. */
static unsigned
serves_of(struct reading *r, size_t i, const char *text)
{
	static const struct {
		const char *word;
		unsigned bit;
	} words[] = {
		{"mllp", SERVES_MLLP}, {"mllp2", SERVES_MLLP2}, {"feeds", SERVES_FEEDS}, {"kiosk", SERVES_KIOSK}, {"desk", SERVES_DESK},
		{"patient", SERVES_PATIENT}, {"notify", SERVES_NOTIFY}, {"operations", SERVES_OPERATIONS},
	};
	enum { WORDS = sizeof(words) / sizeof(words[0]) };
	const char *rest = text;
	unsigned serves = 0;

	for (struct view word; (word = next_word(&rest)).n > 0;) {
		size_t k = 0;
		while (k < WORDS && !view_is(word, words[k].word))
			k++;
		if (k == WORDS) {
			reading_wrong(r, "listen", i, "serves", "does not know %.*s: it is mllp, mllp2, or any of feeds kiosk desk patient notify operations",
			    word.n < WORD_SHOWN ? (int)word.n : WORD_SHOWN, word.p);
			return 0;
		}
		serves |= words[k].bit;
	}
	if ((serves & ~(unsigned)SERVES_HTTP) != 0 && serves != SERVES_MLLP && serves != SERVES_MLLP2) {
		reading_wrong(r, "listen", i, "serves", "has mllp and mllp2 alone: a port speaks one protocol");
		return 0;
	}
	return serves;
}

static int
check_tls(struct reading *r, size_t i, struct config_listen *l)
{
	const struct {
		const char *key, *value;
	} files[] = {{"certificate", l->certificate}, {"key", l->key}, {"client_ca", l->client_ca}, {"revoked", l->revoked}};

	for (size_t k = 0; k < sizeof(files) / sizeof(files[0]); k++)
		if (!l->tls && files[k].value[0] != '\0')
			WRONG(files[k].key, "needs tls = yes");
	if (l->tls && l->certificate[0] == '\0')
		WRONG("tls", "needs certificate");
	if (l->tls && l->key[0] == '\0')
		WRONG("tls", "needs key");
	if (strcmp(l->clients_text, "none") == 0)
		l->clients = CLIENTS_NONE;
	else if (strcmp(l->clients_text, "optional") == 0)
		l->clients = CLIENTS_OPTIONAL;
	else if (strcmp(l->clients_text, "required") == 0)
		l->clients = CLIENTS_REQUIRED;
	else if (l->clients_text[0] == '\0')
		l->clients = l->client_ca[0] != '\0' ? CLIENTS_REQUIRED : CLIENTS_NONE;
	else
		WRONG("clients", "has to be none, optional or required");
	if (l->clients != CLIENTS_NONE && l->client_ca[0] == '\0')
		WRONG("clients", "needs client_ca");
	if (l->clients == CLIENTS_NONE && l->client_ca[0] != '\0')
		WRONG("client_ca", "is not used with clients = none");
	if (l->revoked[0] != '\0' && l->client_ca[0] == '\0')
		WRONG("revoked", "needs client_ca");
	return 0;
}

int
config_check_listens(struct reading *r)
{
	struct config *c = r->config;
	struct address *addresses = memory_new((c->n_listens + 1) * sizeof(*addresses));
	int result = 0;

	if (c->n_listens == 0)
		result = reading_wrong(r, "listen", 0, NULL, "at least one section [listen NAME] is required");
	for (size_t i = 0; i < c->n_listens && result == 0; i++) {
		struct config_listen *l = &c->listens[i];
		if (parse_address(l->address, &addresses[i]) != 0)
			result = reading_wrong(r, "listen", i, "address", "has to be IPv4:port or [IPv6]:port");
		else if ((l->serves = serves_of(r, i, l->serves_text)) == 0 || check_tls(r, i, l) != 0)
			result = -1;
		else if (l->plain[0] != '\0' && strcmp(l->plain, "beyond loopback") != 0)
			result = reading_wrong(r, "listen", i, "plain", "has to be empty or beyond loopback");
		else if (!l->tls && l->plain[0] == '\0' && !is_loopback(&addresses[i]))
			result = reading_wrong(r, "listen", i, "address", "is plain text that others can read: it needs tls = yes, or plain = beyond loopback");
		for (size_t k = 0; k < i && result == 0; k++)
			if (addresses[i].port != 0 && is_same_address(&addresses[i], &addresses[k]))
				result = reading_wrong(r, "listen", i, "address", "is that of [listen %s] already", c->listens[k].name);
	}
	free(addresses);
	return result;
}
