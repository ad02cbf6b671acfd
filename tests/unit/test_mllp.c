/* Finding frames in a stream: whole, in pieces, with junk, and with block characters where they should not be. */
#include "check_main.h"

#include "proto/hl7/mllp.h"

enum { MOST_FRAMES = 16 };

/* What a stream gave. */
struct heard {
	char frames[MOST_FRAMES][256];
	size_t n, junk, left;
	unsigned bare;
};

/* Feeds the stream in reads of `step` bytes as a connection would: what is used is dropped, the rest stays. Each look is at memory
 * that ends where the bytes end, for AddressSanitizer. */
static struct heard
listen(struct view stream, size_t step)
{
	struct heard h = {.n = 0};
	struct mllp_scan scan = {0};
	size_t start = 0, end = 0;

	while (end < stream.n) {
		end = end + step < stream.n ? end + step : stream.n;
		enum mllp_result r;
		do {
			char *copy = malloc(end > start ? end - start : 1);
			struct view content = VIEW_NONE;
			size_t junk = 4711, used = 4711;
			ck_assert_ptr_nonnull(copy);
			memcpy(copy, stream.p + start, end - start);
			r = mllp_next(&scan, (struct view){copy, end - start}, &content, &junk, &used);
			ck_assert_uint_le(used, end - start);
			ck_assert_uint_le(junk, used);
			if (r == MLLP_FRAME) {
				size_t ends = used - (size_t)(content.p - copy) - content.n;
				ck_assert(content.p > copy && used <= end - start);
				ck_assert(content.p[content.n] == MLLP_EB && (ends == 1 || (ends == 2 && content.p[content.n + 1] == MLLP_CR)));
				ck_assert_uint_lt(h.n, MOST_FRAMES);
				ck_assert_uint_lt(content.n, sizeof(h.frames[0]));
				memcpy(h.frames[h.n], content.p, content.n);
				h.frames[h.n++][content.n] = '\0';
			} else {
				ck_assert(junk == used || (junk + 1 == used && *copy == MLLP_CR));
			}
			h.junk += junk;
			start += used;
			free(copy);
		} while (r == MLLP_FRAME);
	}
	h.left = stream.n - start;
	h.bare = scan.bare;
	return h;
}

static const struct {
	const char *what;
	struct view stream;
	const char *frames[4];
	size_t junk, left;
	unsigned bare;
} streams[] = {
	{"one frame", VIEW_LITERAL("\x0BMSH|a\r\x1C\r"), {"MSH|a\r"}, 0, 0, 0},
	{"an empty frame", VIEW_LITERAL("\x0B\x1C\r"), {""}, 0, 0, 0},
	{"several in one read", VIEW_LITERAL("\x0B" "a\x1C\r\x0B" "b\x1C\r\x0B" "c\x1C\r"), {"a", "b", "c"}, 0, 0, 0},
	{"one and a half", VIEW_LITERAL("\x0B" "a\x1C\r\x0B" "bb"), {"a"}, 0, 3, 0},
	{"end block without its CR yet", VIEW_LITERAL("\x0B" "a\x1C"), {"a"}, 0, 0, 0},
	{"end blocks without CR", VIEW_LITERAL("\x0B" "a\x1C\x0B" "b\x1C\x0B" "c\x1C\r"), {"a", "b", "c"}, 0, 0, 2},
	{"end blocks with LF", VIEW_LITERAL("\x0B" "a\x1C\n\x0B" "b\x1C\n"), {"a", "b"}, 2, 0, 2},
	{"nothing but a start block", VIEW_LITERAL("\x0B"), {NULL}, 0, 1, 0},
	{"junk only", VIEW_LITERAL("hello\r\n"), {NULL}, 7, 0, 0},
	{"junk in front, between and behind", VIEW_LITERAL("xx\x0B" "a\x1C\ryyy\x0B" "b\x1C\rz"), {"a", "b"}, 6, 0, 0},
	{"line ends between frames", VIEW_LITERAL("\x0B" "a\x1C\r\n\x0B" "b\x1C\r\n"), {"a", "b"}, 2, 0, 0},
	{"an end block as junk", VIEW_LITERAL("\x1C\r\x0B" "a\x1C\r"), {"a"}, 2, 0, 0},
	{"a doubled end block", VIEW_LITERAL("\x0B" "a\x1C\r\x1C\r\x0B" "b\x1C\r"), {"a", "b"}, 2, 0, 0},
	{"1C inside content ends it", VIEW_LITERAL("\x0B" "a\x1C" "b\x1C\r"), {"a"}, 3, 0, 1},
	{"1C at the start of content", VIEW_LITERAL("\x0B\x1C" "b\x1C\r"), {""}, 3, 0, 1},
	{"1C 1C 0D", VIEW_LITERAL("\x0B" "a\x1C\x1C\r"), {"a"}, 2, 0, 1},
	{"a second CR is junk", VIEW_LITERAL("\x0B" "a\x1C\r\r\x0B" "b\x1C\r"), {"a", "b"}, 1, 0, 0},
	{"CR inside content", VIEW_LITERAL("\x0B\ra\r\r\x1C\r"), {"\ra\r\r"}, 0, 0, 0},
	{"a start block inside gives the first up", VIEW_LITERAL("\x0Bgave up\x0B" "b\x1C\r"), {"b"}, 8, 0, 0},
	{"a doubled start block", VIEW_LITERAL("\x0B\x0B" "b\x1C\r"), {"b"}, 1, 0, 0},
	{"a start block behind a lone 1C", VIEW_LITERAL("\x0Bold\x1C\x0Bnew\x1C\r"), {"old", "new"}, 0, 0, 1},
	{"given up twice, then more to come", VIEW_LITERAL("\x0B" "a\x0B" "b\x0B" "c"), {NULL}, 4, 2, 0},
	{"release 2 commit blocks", VIEW_LITERAL("\x0B\x06\x1C\r\x0B\x15\x1C\r\x0B" "ACK\x1C\r"), {"\x06", "\x15", "ACK"}, 0, 0, 0},
	{"bytes above 7F", VIEW_LITERAL("\x0B\xAB\x7C\xAB\x5E\xFF\x8B\x9C\x1C\r"), {"\xAB\x7C\xAB\x5E\xFF\x8B\x9C"}, 0, 0, 0},
};

START_TEST(a_stream_gives_the_same_frames_however_it_is_cut)
{
	for (size_t step = 1; step <= streams[_i].stream.n; step++) {
		struct heard h = listen(streams[_i].stream, step);
		size_t n = 0;
		for (; n < 4 && streams[_i].frames[n] != NULL; n++)
			ck_assert_msg(h.n > n && strcmp(h.frames[n], streams[_i].frames[n]) == 0, "%s, %zu bytes a read: frame %zu",
			    streams[_i].what, step, n);
		ck_assert_msg(h.n == n, "%s, %zu bytes a read: %zu frames", streams[_i].what, step, h.n);
		ck_assert_msg(h.junk == streams[_i].junk, "%s, %zu bytes a read: %zu bytes of junk", streams[_i].what, step, h.junk);
		ck_assert_msg(h.bare == streams[_i].bare, "%s, %zu bytes a read: %u ends without CR", streams[_i].what, step, h.bare);
		ck_assert_msg(h.left == streams[_i].left, "%s, %zu bytes a read: %zu bytes left", streams[_i].what, step, h.left);
	}
}
END_TEST

static const struct {
	struct view content;
	enum mllp_block block;
} blocks[] = {
	{VIEW_LITERAL("\x06"), MLLP_COMMIT_ACK}, {VIEW_LITERAL("\x15"), MLLP_COMMIT_NAK}, {VIEW_LITERAL(""), MLLP_CONTENT}, {{NULL, 0}, MLLP_CONTENT},
	{VIEW_LITERAL("\x06\r"), MLLP_CONTENT}, {VIEW_LITERAL("\x06\x06"), MLLP_CONTENT}, {VIEW_LITERAL("\x15\x06"), MLLP_CONTENT}, {VIEW_LITERAL("\x00"), MLLP_CONTENT},
	{VIEW_LITERAL("\x07"), MLLP_CONTENT}, {VIEW_LITERAL("M"), MLLP_CONTENT}, {VIEW_LITERAL("\x86"), MLLP_CONTENT}, {VIEW_LITERAL("MSH|^~\\&|\r"), MLLP_CONTENT},
};

START_TEST(a_commit_block_is_one_byte)
{
	ck_assert_int_eq(mllp_block_of(blocks[_i].content), blocks[_i].block);
}
END_TEST

START_TEST(nothing_needs_more)
{
	struct mllp_scan scan = {0};
	struct view content;
	size_t junk = 1, used = 1;

	ck_assert_int_eq(mllp_next(&scan, view_of(""), &content, &junk, &used), MLLP_MORE);
	ck_assert_uint_eq(junk, 0);
	ck_assert_uint_eq(used, 0);
	ck_assert_int_eq(mllp_next(&scan, VIEW_NONE, &content, &junk, &used), MLLP_MORE);
	ck_assert_uint_eq(used, 0);
}
END_TEST

START_TEST(a_frame_of_many_reads_is_looked_at_once)
{
	enum { SIZE = 4000000, STEP = 100 };
	struct mllp_scan scan = {0};
	struct view content;
	size_t junk, used;
	char *stream = malloc(SIZE);

	ck_assert_ptr_nonnull(stream);
	memset(stream, 'x', SIZE);
	stream[0] = MLLP_SB;
	for (size_t end = STEP; end < SIZE; end += STEP) {
		ck_assert_int_eq(mllp_next(&scan, (struct view){stream, end}, &content, &junk, &used), MLLP_MORE);
		ck_assert_uint_eq(used, 0);
		ck_assert_uint_ge(scan.seen + 1, end);	/* else 40,000 reads would look at 80 GB: the test's deadline says so, too */
	}
	stream[SIZE - 2] = MLLP_EB;
	stream[SIZE - 1] = MLLP_CR;
	ck_assert_int_eq(mllp_next(&scan, (struct view){stream, SIZE}, &content, &junk, &used), MLLP_FRAME);
	ck_assert_uint_eq(content.n, SIZE - 3);
	ck_assert_uint_eq(used, SIZE);
	ck_assert_uint_eq(scan.seen, 0);
	free(stream);
}
END_TEST

int
main(void)
{
	struct check_run run = check_begin("mllp");

	check_add_rows(run, a_stream_gives_the_same_frames_however_it_is_cut, streams);
	check_add_rows(run, a_commit_block_is_one_byte, blocks);
	tcase_add_test(run.tcase, nothing_needs_more);
	tcase_add_test(run.tcase, a_frame_of_many_reads_is_looked_at_once);
	return check_end(run);
}
