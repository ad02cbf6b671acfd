/* Writing and reading of archive files: gzip, hashes, what reaches the disk. What is in the rows is archive_row.c's. */
#include "archive_file.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "base/memory.h"
#include "ctl.h"
#include "document.h"

enum { HEADER = 16384, CHUNK = 65536, GZIP_WINDOW = 15 + 16, LEVEL = 6, SHA256 = 32 };

struct archive_writer {
	int fd;
	gzFile content;
	EVP_MD_CTX *hash;
	size_t header;	/* bytes that the header's member takes in the file */
	char *path;
};

struct archive_reader {
	gzFile gz;
	EVP_MD_CTX *hash;
	json_object *header;
	char *path, *buf;	/* from `at` on it is not looked at yet, up to `used` */
	size_t at, used, size;
	bool ended;
};

static EVP_MD_CTX *
new_hash(void)
{
	EVP_MD_CTX *hash = EVP_MD_CTX_new();

	if (hash == NULL || EVP_DigestInit_ex(hash, EVP_sha256(), NULL) != 1)
		abort();
	return hash;
}

static void
hex_of(EVP_MD_CTX *hash, char hex[2 * SHA256 + 1])
{
	unsigned char digest[SHA256];

	if (EVP_DigestFinal_ex(hash, digest, NULL) != 1)
		abort();
	for (size_t i = 0; i < SHA256; i++)
		snprintf(hex + 2 * i, 3, "%02x", digest[i]);
}

/* ---- writing ---------------------------------------------------------------------------------------- */

/* The header as a gzip member that is always as long: it is stored, not packed. -1 where the text does not fit. */
static int
pack_header(const char *text, unsigned char *out, size_t size, size_t *ret_n)
{
	char padded[HEADER];
	size_t n = strlen(text);
	z_stream z = {0};

	if (n > sizeof(padded) - 1)
		return -1;
	memset(padded, ' ', sizeof(padded));
	memcpy(padded, text, n);
	padded[sizeof(padded) - 1] = '\n';
	if (deflateInit2(&z, Z_NO_COMPRESSION, Z_DEFLATED, GZIP_WINDOW, 8, Z_DEFAULT_STRATEGY) != Z_OK)
		abort();
	z.next_in = (unsigned char *)padded;
	z.avail_in = sizeof(padded);
	z.next_out = out;
	z.avail_out = (uInt)size;
	if (deflate(&z, Z_FINISH) != Z_STREAM_END)
		abort();
	*ret_n = size - z.avail_out;
	deflateEnd(&z);
	return 0;
}

static int
write_all(int fd, const unsigned char *p, size_t n, off_t at)
{
	while (n > 0) {
		ssize_t done = pwrite(fd, p, n, at);
		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return -1;
		p += done;
		n -= (size_t)done;
		at += done;
	}
	return 0;
}

struct archive_writer *
archive_create(const char *path)
{
	struct archive_writer *w = memory_new(sizeof(*w));
	unsigned char room[2 * HEADER];
	int fd;

	w->path = memory_text(path, strlen(path));
	w->hash = new_hash();
	w->fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (w->fd >= 0 && pack_header("{}", room, sizeof(room), &w->header) == 0 && write_all(w->fd, room, w->header, 0) == 0
	    && lseek(w->fd, (off_t)w->header, SEEK_SET) == (off_t)w->header && (fd = dup(w->fd)) >= 0) {
		if ((w->content = gzdopen(fd, "wb")) != NULL && gzsetparams(w->content, LEVEL, Z_DEFAULT_STRATEGY) == Z_OK)
			return w;
		if (w->content == NULL)
			close(fd);
	}
	ctl_failed("%s: %s", path, strerror(errno));
	archive_abandon(w);
	return NULL;
}

int
archive_write(struct archive_writer *w, const char *p, size_t n)
{
	if (EVP_DigestUpdate(w->hash, p, n) != 1)
		abort();
	if (gzfwrite(p, 1, n, w->content) == n)
		return 0;
	return ctl_failed("%s: %s", w->path, errno != 0 ? strerror(errno) : gzerror(w->content, NULL)), -1;
}

void
archive_abandon(struct archive_writer *w)
{
	if (w == NULL)
		return;
	if (w->content != NULL)
		gzclose_w(w->content);
	if (w->fd >= 0)
		close(w->fd);
	EVP_MD_CTX_free(w->hash);
	free(w->path);
	free(w);
}

int
archive_finish_file(struct archive_writer *w, json_object *header)
{
	unsigned char packed[2 * HEADER];
	char hex[2 * SHA256 + 1];
	size_t n = 0;
	int done = -1, closed = gzclose_w(w->content);

	w->content = NULL;
	hex_of(w->hash, hex);
	json_object_object_add(header, "sha256", json_object_new_string(hex));
	errno = closed == Z_OK ? 0 : errno;
	if (pack_header(json_object_to_json_string_ext(header, JSON_C_TO_STRING_NOSLASHESCAPE), packed, sizeof(packed), &n) != 0 || n != w->header)
		ctl_failed("%s: its header is longer than %d bytes", w->path, HEADER);
	else if (closed != Z_OK || write_all(w->fd, packed, n, 0) != 0 || fsync(w->fd) != 0)
		ctl_failed("%s: %s", w->path, errno != 0 ? strerror(errno) : "it cannot be written");
	else
		done = 0;
	archive_abandon(w);
	return done;
}

/* ---- reading ---------------------------------------------------------------------------------------- */

/* More of the file behind what is there. Returns 1, 0 at the end, -1 after having said what is wrong. */
static int
fill(struct archive_reader *r)
{
	int code = Z_OK;

	if (r->ended)
		return 0;
	memmove(r->buf, r->buf + r->at, r->used - r->at);
	r->used -= r->at;
	r->at = 0;
	if (r->size - r->used < CHUNK)
		r->buf = memory_resize(r->buf, r->size = 2 * r->size + CHUNK);
	int n = gzread(r->gz, r->buf + r->used, CHUNK);
	const char *why = gzerror(r->gz, &code);
	size_t own = strlen(r->path);
	if (strncmp(why, r->path, own) == 0 && strncmp(why + own, ": ", 2) == 0)
		why += own + 2;
	if (n < 0 || (code != Z_OK && code != Z_STREAM_END)) {	/* one that was cut says so with its last bytes */
		ctl_failed("%s is damaged: %s", r->path, code == Z_ERRNO ? strerror(errno) : code == Z_BUF_ERROR ? "its end is missing" : why);
		return -1;
	}
	r->used += (size_t)n;
	r->ended = n == 0;
	return !r->ended;
}

/* A line as it is, the newline with it; its bytes are taken. 1, 0 at the end, -1. */
static int
take_line(struct archive_reader *r, struct view *ret)
{
	size_t seen = 0;

	for (;;) {
		char *end = memchr(r->buf + r->at + seen, '\n', r->used - r->at - seen);
		if (end != NULL) {
			*ret = (struct view){r->buf + r->at, (size_t)(end + 1 - (r->buf + r->at))};
			r->at += ret->n;
			return 1;
		}
		seen = r->used - r->at;
		int more = fill(r);
		if (more < 0)
			return -1;
		if (more == 0 && seen == 0)
			return 0;
		if (more == 0)
			return ctl_failed("%s is damaged: its last row is not whole", r->path), -1;
	}
}

static int
read_header(struct archive_reader *r)
{
	struct view line;

	if (fill(r) < 0)
		return -1;
	if (gzdirect(r->gz) || take_line(r, &line) != 1)
		return ctl_failed("%s is not an archive file: it is not gzip with a line in it", r->path), -1;
	char *text = memory_text(line.p, line.n);
	r->header = json_tokener_parse(text);
	free(text);
	const char *format = r->header != NULL && json_object_is_type(r->header, json_type_object) ? document_text(r->header, "format") : NULL;
	if (format == NULL || strcmp(format, ARCHIVE_FORMAT) != 0)
		return ctl_failed("%s is not an archive file: its first line does not say \"%s\"", r->path, ARCHIVE_FORMAT), -1;
	if (document_text(r->header, "relation") == NULL || document_text(r->header, "sha256") == NULL
	    || !json_object_is_type(document_member(r->header, "columns"), json_type_array)
	    || !json_object_is_type(document_member(r->header, "sums"), json_type_object))
		return ctl_failed("%s: its header is not whole", r->path), -1;
	return 0;
}

struct archive_reader *
archive_open(const char *path)
{
	struct archive_reader *r = memory_new(sizeof(*r));

	r->path = memory_text(path, strlen(path));
	r->hash = new_hash();
	r->buf = memory_new(r->size = CHUNK);
	if ((r->gz = gzopen(path, "rbe")) == NULL)
		ctl_failed("%s: %s", path, strerror(errno));
	else if (read_header(r) == 0)
		return r;
	archive_close(r);
	return NULL;
}

void
archive_close(struct archive_reader *r)
{
	if (r == NULL)
		return;
	if (r->gz != NULL)
		gzclose_r(r->gz);
	json_object_put(r->header);
	EVP_MD_CTX_free(r->hash);
	free(r->buf);
	free(r->path);
	free(r);
}

json_object *
archive_header(const struct archive_reader *r)
{
	return r->header;
}

int
archive_next(struct archive_reader *r, struct view *ret)
{
	struct view line;
	int got = take_line(r, &line);

	if (got != 1)
		return got;
	if (EVP_DigestUpdate(r->hash, line.p, line.n) != 1)
		abort();
	*ret = (struct view){line.p, line.n - 1};
	return 1;
}

int
archive_check_hash(struct archive_reader *r)
{
	char hex[2 * SHA256 + 1];

	hex_of(r->hash, hex);
	if (strcmp(hex, document_text(r->header, "sha256")) == 0)
		return 0;
	return ctl_failed("%s is damaged: its content is not what its header says (SHA-256)", r->path), -1;
}
