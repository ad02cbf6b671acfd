/* Who is asking by HTTP: a feed, a kiosk, a desk or an operator, known by a bearer token, a client certificate or both; and what they may see. */
#ifndef VB_ACCESS_PRINCIPAL_H
#define VB_ACCESS_PRINCIPAL_H

#include "access/directory.h"
#include "access/tokens.h"
#include "base/config.h"
#include "net/tls.h"
#include "proto/arena.h"

/* Roles are what a listener serves: a caller is taken only where its kind is served. */
enum role_bit {
	MAY_FEED = SERVES_FEEDS, MAY_KIOSK = SERVES_KIOSK, MAY_DESK = SERVES_DESK, MAY_OPS = SERVES_OPERATIONS, MAY_NOTIFY = SERVES_NOTIFY,
};

struct principal {
	unsigned role;		/* one of the bits */
	const char *name;	/* of the token or feed: the client of idempotency keys */
	struct feed *feed;	/* of a feed */
	const char *scope;	/* text[] literal: the facilities that it may see, {*} for all. Never NULL once it is known */
};

struct principal_sources {
	const struct config *config;
	struct directory *directory;
	struct tokens *tokens;
	int64_t now;		/* microseconds since 1970 UTC */
};

enum principal_result {
	PRINCIPAL_KNOWN,
	PRINCIPAL_NONE,		/* nothing was shown by which anyone could be known */
	PRINCIPAL_FAILED,	/* what was shown is nobody's */
	PRINCIPAL_AMBIGUOUS,	/* the certificate is of several, and no token says which */
};

/* authorization: the header's value, may be empty. identity: of the connection, NULL without a certificate. Where an entry of the settings has a
 * token and a certificate, both are needed. Texts of *ret are in the arena: they outlive a reload. */
enum principal_result principal_of(const struct principal_sources *s, struct view authorization, const struct tls_identity *identity, const char *peer,
    struct arena *a, struct principal *ret);

/* The bit of kiosk, desk, ops or feed; 0 for another word. */
unsigned role_bit_of(const char *name);

/* "H01 H02" as {"H01","H02"}, "*" as {*}; nothing as {}, which sees nothing. */
const char *scope_literal(struct arena *a, const char *codes);
/* Is the facility in the scope? For what is asked of no statement. */
bool scope_has(const char *scope, const char *facility);

#endif
