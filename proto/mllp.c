/* MLLP framing. 0B, 1C 0D are the block characters of release 1 and 2 alike; 0B and 1C never occur inside GB 18030 or UTF-8 text. */
#include "mllp.h"

enum mllp_result
mllp_next(struct mllp_scan *scan, struct view bytes, struct view *ret_content, size_t *ret_junk, size_t *ret_used)
{
	if (bytes.n == 0) {
		*ret_junk = *ret_used = 0;
		scan->seen = 0;
		return MLLP_MORE;
	}
	const char *end = bytes.p + bytes.n;
	const char *sb = memchr(bytes.p, MLLP_SB, bytes.n);

	if (sb == NULL) {
		*ret_junk = *ret_used = bytes.n;
		scan->seen = 0;
		return MLLP_MORE;
	}
	const char *from = bytes.p + scan->seen;
	if (from <= sb)
		from = sb + 1;
	for (;;) {
		const char *eb = from < end ? memchr(from, MLLP_EB, (size_t)(end - from)) : NULL;
		const char *again = from < end ? memchr(from, MLLP_SB, (size_t)((eb != NULL ? eb : end) - from)) : NULL;

		if (again != NULL) {
			sb = again;
			from = sb + 1;
			continue;
		}
		if (eb != NULL && eb + 1 < end && eb[1] != MLLP_CR) {
			from = eb + 1;		/* a lone 1C is content */
			continue;
		}
		if (eb == NULL || eb + 1 == end) {
			*ret_junk = *ret_used = (size_t)(sb - bytes.p);
			scan->seen = (size_t)((eb != NULL ? eb : end) - sb);
			return MLLP_MORE;
		}
		*ret_content = (struct view){sb + 1, (size_t)(eb - sb - 1)};
		*ret_junk = (size_t)(sb - bytes.p);
		*ret_used = (size_t)(eb + 2 - bytes.p);
		scan->seen = 0;
		return MLLP_FRAME;
	}
}

enum mllp_block
mllp_block_of(struct view content)
{
	if (content.n != 1)
		return MLLP_CONTENT;
	return content.p[0] == MLLP_ACK ? MLLP_COMMIT_ACK : content.p[0] == MLLP_NAK ? MLLP_COMMIT_NAK : MLLP_CONTENT;
}
