/* Bearer tokens that `visitbillctl token` made: kept in the database by their SHA-256, and here as of a moment ago. The daemon asks for what has changed
 * and tells which were used; tokens of the settings file are looked up beside them (principal.h). */
#ifndef VB_ACCESS_TOKENS_H
#define VB_ACCESS_TOKENS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct tokens;

enum { TOKEN_HASH = 32, TOKEN_PEER = 64 };

struct token {
	struct token *next;		/* in its bucket */
	int64_t token_id;
	char *name;
	unsigned char sha256[TOKEN_HASH];
	unsigned role;			/* one of enum role_bit */
	char *facilities;		/* codes, blanks between; "*": all */
	char *feed;			/* of a feed's token; else empty */
	int64_t expires_at;		/* microseconds since 1970 UTC; 0: never */
	bool revoked;
	int64_t used_at;		/* not yet told; 0: nothing to tell */
	char used_by[TOKEN_PEER];
};

/* In constant time, as CRYPTO_memcmp, and without its loop over bytes: each request compares with some. */
static inline bool
token_hash_equal(const unsigned char a[TOKEN_HASH], const unsigned char b[TOKEN_HASH])
{
	uint64_t x[TOKEN_HASH / 8], y[TOKEN_HASH / 8];

	memcpy(x, a, TOKEN_HASH);
	memcpy(y, b, TOKEN_HASH);
	return ((x[0] ^ y[0]) | (x[1] ^ y[1]) | (x[2] ^ y[2]) | (x[3] ^ y[3])) == 0;
}

struct tokens *tokens_new(void);
void tokens_free(struct tokens *t);

/* A row that has changed. A token that is there already is replaced. */
void tokens_put(struct tokens *t, const struct token *row, int64_t changed);
/* All that the database has were put. Before that a token that is not found may be there. */
void tokens_set_known(struct tokens *t);
bool tokens_are_known(const struct tokens *t);
/* The highest number of change that was put; 0 at first. */
int64_t tokens_changed(const struct tokens *t);

/* The token with this hash, where it is neither revoked nor expired at that time. */
struct token *tokens_find(struct tokens *t, const unsigned char sha256[TOKEN_HASH], int64_t now);
void token_used(struct token *token, int64_t now, const char *peer);

/* The next token whose use is to be told (pass NULL to begin), NULL at the end. */
struct token *tokens_used_next(struct tokens *t, struct token *after);

#endif
