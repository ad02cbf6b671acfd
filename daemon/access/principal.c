/* Looking up who was shown: tokens of the settings, feeds of the settings, tokens of the database. Secrets are compared by their SHA-256, in constant time. */
#include "principal.h"

#include <strings.h>

#include "access/certificate.h"
#include "proto/text.h"

struct shown {
	bool has_token;
	unsigned char sha256[TOKEN_HASH];
	const struct tls_identity *identity;
};

unsigned
role_bit_of(const char *name)
{
	static const struct { const char *name; unsigned bit; } roles[] = {{"kiosk", MAY_KIOSK}, {"desk", MAY_DESK}, {"ops", MAY_OPS}, {"feed", MAY_FEED}};

	for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++)
		if (strcmp(roles[i].name, name) == 0)
			return roles[i].bit;
	return 0;
}

const char *
scope_literal(struct arena *a, const char *codes)
{
	if (strcmp(codes, "*") == 0)
		return "{*}";
	struct text t = text_begin(a, strlen(codes) * 2 + 8);
	text_char(&t, '{');
	while (*codes != '\0') {
		size_t n = strcspn(codes, " ");
		if (n > 0) {
			text_string(&t, t.n > 1 ? ",\"" : "\"");
			text_put(&t, (struct view){codes, n});
			text_char(&t, '"');
		}
		codes += n + (codes[n] == ' ');
	}
	text_string(&t, "}");
	text_char(&t, '\0');
	return t.p;
}

/* A facility's code is letters, digits, - _ and . alone: in a literal it stands in quotes as it is. */
bool
scope_has(const char *scope, const char *facility)
{
	size_t n = strlen(facility);

	if (strcmp(scope, "{*}") == 0)
		return true;
	for (const char *p = scope; (p = strchr(p, '"')) != NULL; p = strchr(p + 1, '"') + 1)
		if (strncmp(p + 1, facility, n) == 0 && p[n + 1] == '"')
			return true;
	return false;
}

/* RFC 6750 section 2.1. False when there is no bearer token; anything else of Authorization is somebody else's scheme. */
static bool
read_token(struct view authorization, unsigned char ret[TOKEN_HASH])
{
	if (authorization.n < 8 || strncasecmp(authorization.p, "Bearer ", 7) != 0)
		return false;
	struct view token = view_trim((struct view){authorization.p + 7, authorization.n - 7});
	config_hash_token(token.p, token.n, ret);
	return true;
}

/* Does what was shown fit an entry that may ask for a token, a certificate or both? */
static bool
fits(const struct shown *shown, const struct config_secret *secret, const char *certificate)
{
	if (secret->is_set != shown->has_token)
		return false;
	if (secret->is_set && !token_hash_equal(secret->sha256, shown->sha256))
		return false;
	if (certificate[0] != '\0')
		return certificate_matches(certificate, shown->identity);
	return secret->is_set;
}

static unsigned
find_configured(const struct principal_sources *s, const struct shown *shown, struct arena *a, struct principal *ret)
{
	static const unsigned bits[] = {[ROLE_KIOSK] = MAY_KIOSK, [ROLE_DESK] = MAY_DESK, [ROLE_OPS] = MAY_OPS, [ROLE_FEED] = MAY_FEED};
	unsigned found = 0;

	for (size_t i = 0; i < s->config->n_tokens; i++) {
		const struct config_token *t = &s->config->tokens[i];
		if (!fits(shown, &t->secret, t->certificate))
			continue;
		found++;
		*ret = (struct principal){bits[t->role], arena_copy(a, t->name, strlen(t->name)).p, NULL, scope_literal(a, t->facilities)};
	}
	for (size_t i = 0; i < s->config->n_feeds; i++) {
		const struct config_feed *f = &s->config->feeds[i];
		struct feed *feed;
		if (!fits(shown, &f->secret, f->certificate) || (feed = directory_feed_named(s->directory, f->name)) == NULL)
			continue;
		found++;
		*ret = (struct principal){MAY_FEED, feed->name, feed, scope_literal(a, feed->facility)};
	}
	return found;
}

static bool
find_kept(const struct principal_sources *s, const struct shown *shown, const char *peer, struct arena *a, struct principal *ret)
{
	struct token *t = shown->has_token ? tokens_find(s->tokens, shown->sha256, s->now) : NULL;
	struct feed *feed = NULL;

	if (t == NULL)
		return false;
	if (t->role == MAY_FEED) {
		feed = directory_feed_named(s->directory, t->feed);
		if (feed == NULL || feed->certificate[0] != '\0')	/* bound to its certificate: accepted by no other way */
			return false;
	}
	token_used(t, s->now, peer);
	*ret = (struct principal){t->role, arena_copy(a, t->name, strlen(t->name)).p, feed, scope_literal(a, feed != NULL ? feed->facility : t->facilities)};
	return true;
}

enum principal_result
principal_of(const struct principal_sources *s, struct view authorization, const struct tls_identity *identity, const char *peer, struct arena *a,
    struct principal *ret)
{
	struct shown shown = {.identity = identity};

	shown.has_token = read_token(authorization, shown.sha256);
	if (!shown.has_token && identity == NULL)
		return PRINCIPAL_NONE;
	unsigned found = find_configured(s, &shown, a, ret);
	if (found == 1 || (found == 0 && find_kept(s, &shown, peer, a, ret)))
		return PRINCIPAL_KNOWN;
	return found > 1 ? PRINCIPAL_AMBIGUOUS : PRINCIPAL_FAILED;
}
