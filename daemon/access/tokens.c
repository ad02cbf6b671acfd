/* A hash table by the tokens' own hashes, which nobody can choose: the secret behind each is random. */
#include "tokens.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

enum { BUCKETS = 1024 };

struct tokens {
	struct token *buckets[BUCKETS];
	int64_t changed;
	bool known;
};

struct tokens *
tokens_new(void)
{
	return memory_new(sizeof(struct tokens));
}

static void
token_free(struct token *token)
{
	free(token->name);
	free(token->facilities);
	free(token->feed);
	free(token);
}

void
tokens_free(struct tokens *t)
{
	if (t == NULL)
		return;
	for (size_t b = 0; b < BUCKETS; b++)
		while (t->buckets[b] != NULL) {
			struct token *token = t->buckets[b];
			t->buckets[b] = token->next;
			token_free(token);
		}
	free(t);
}

static size_t
bucket_of(const unsigned char sha256[TOKEN_HASH])
{
	return ((size_t)sha256[0] << 8 | sha256[1]) % BUCKETS;
}

static void
token_remove(struct tokens *t, int64_t token_id)
{
	for (size_t b = 0; b < BUCKETS; b++)
		for (struct token **at = &t->buckets[b]; *at != NULL; at = &(*at)->next)
			if ((*at)->token_id == token_id) {
				struct token *gone = *at;
				*at = gone->next;
				token_free(gone);
				return;
			}
}

void
tokens_put(struct tokens *t, const struct token *row, int64_t changed)
{
	struct token *token = memory_new(sizeof(*token));
	size_t b = bucket_of(row->sha256);

	token_remove(t, row->token_id);
	*token = *row;
	token->name = memory_text(row->name, strlen(row->name));
	token->facilities = memory_text(row->facilities, strlen(row->facilities));
	token->feed = memory_text(row->feed, strlen(row->feed));
	token->next = t->buckets[b];
	t->buckets[b] = token;
	if (changed > t->changed)
		t->changed = changed;
}

void
tokens_set_known(struct tokens *t)
{
	t->known = true;
}

bool
tokens_are_known(const struct tokens *t)
{
	return t->known;
}

int64_t
tokens_changed(const struct tokens *t)
{
	return t->changed;
}

struct token *
tokens_find(struct tokens *t, const unsigned char sha256[TOKEN_HASH], int64_t now)
{
	for (struct token *token = t->buckets[bucket_of(sha256)]; token != NULL; token = token->next)
		if (token_hash_equal(token->sha256, sha256))
			return !token->revoked && (token->expires_at == 0 || now < token->expires_at) ? token : NULL;
	return NULL;
}

void
token_used(struct token *token, int64_t now, const char *peer)
{
	token->used_at = now;
	snprintf(token->used_by, sizeof(token->used_by), "%s", peer);
}

struct token *
tokens_used_next(struct tokens *t, struct token *after)
{
	size_t b = after != NULL ? bucket_of(after->sha256) : 0;
	struct token *token = after != NULL ? after->next : t->buckets[0];

	for (;;) {
		for (; token != NULL; token = token->next)
			if (token->used_at != 0)
				return token;
		if (++b >= BUCKETS)
			return NULL;
		token = t->buckets[b];
	}
}
