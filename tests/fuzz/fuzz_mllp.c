/* MLLP: any stream, cut into reads of any size, gives the frames and the junk that a byte-by-byte reader finds. The first byte of an input
 * says how long the reads are, the rest is the stream. */
#include "fuzz.h"

#include "proto/hl7/mllp.h"

/* What was heard: every frame's bytes behind its length. */
struct heard {
	char *bytes;
	size_t n, frames, junk, left;
};

static void
hear(struct heard *h, const char *p, size_t n)
{
	FUZZ_CHECK((mllp_block_of((struct view){p, n}) == MLLP_COMMIT_ACK) == (n == 1 && *p == MLLP_ACK));
	FUZZ_CHECK((mllp_block_of((struct view){p, n}) == MLLP_COMMIT_NAK) == (n == 1 && *p == MLLP_NAK));
	memcpy(h->bytes + h->n, &n, sizeof(n));
	if (n > 0)
		memcpy(h->bytes + h->n + sizeof(n), p, n);
	h->n += sizeof(n) + n;
	h->frames++;
}

/* The plain way: one state, one byte at a time. */
static void
listen_plainly(const char *stream, size_t size, struct heard *h)
{
	size_t start = 0;
	bool inside = false, after_block = false;

	for (size_t i = 0; i < size; i++) {
		if (stream[i] == MLLP_SB) {
			if (inside)
				h->junk += i - start;
			inside = true;
			start = i;
		} else if (!inside) {
			h->junk += !(after_block && stream[i] == MLLP_CR);
		} else if (stream[i] == MLLP_EB) {
			hear(h, stream + start + 1, i - start - 1);
			inside = false;
			after_block = true;
			continue;
		}
		after_block = false;
	}
	h->left = inside ? size - start : 0;
}

/* As a connection does it. */
static void
listen_in_reads(const char *stream, size_t size, size_t step, struct heard *h)
{
	struct mllp_scan scan = {0};
	size_t start = 0, end = 0;

	while (end < size) {
		end = size - end > step ? end + step : size;
		enum mllp_result r;
		do {
			char *bytes = fuzz_copy(stream + start, end - start);
			struct view content = VIEW_NONE;
			size_t junk = SIZE_MAX, used = SIZE_MAX;
			r = mllp_next(&scan, (struct view){bytes, end - start}, &content, &junk, &used);
			FUZZ_CHECK(used <= end - start && junk <= used);
			if (r == MLLP_FRAME) {
				size_t before = (size_t)(content.p - bytes), ends = used - before - content.n;
				FUZZ_CHECK(content.p > bytes && (before == junk + 1 || before == junk + 2) && (ends == 1 || ends == 2));
				FUZZ_CHECK(scan.seen == 0);
				hear(h, content.p, content.n);
			} else {
				FUZZ_CHECK((junk == used || junk + 1 == used) && scan.seen <= end - start - used);
			}
			h->junk += junk;
			start += used;
			free(bytes);
		} while (r == MLLP_FRAME);
	}
	h->left = size - start;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 1 || size > 4096)
		return 0;
	size_t step = data[0] > 0 ? data[0] : size, room = size * (sizeof(size_t) + 1);
	struct heard plain = {.bytes = malloc(room)}, whole = {.bytes = malloc(room)}, pieces = {.bytes = malloc(room)};
	const char *stream = (const char *)data + 1;

	FUZZ_CHECK(plain.bytes != NULL && whole.bytes != NULL && pieces.bytes != NULL);
	listen_plainly(stream, size - 1, &plain);
	listen_in_reads(stream, size - 1, size, &whole);
	listen_in_reads(stream, size - 1, step, &pieces);
	const struct heard *others[] = {&whole, &pieces};
	for (int i = 0; i < 2; i++) {
		FUZZ_CHECK(others[i]->frames == plain.frames && others[i]->junk == plain.junk && others[i]->left == plain.left);
		FUZZ_CHECK(others[i]->n == plain.n && memcmp(others[i]->bytes, plain.bytes, plain.n) == 0);
	}
	free(plain.bytes);
	free(whole.bytes);
	free(pieces.bytes);
	return 0;
}
