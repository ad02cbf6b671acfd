/* The common pieces; see common.h. */
#include "common.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

void
die(const char *format, ...)
{
	va_list args;

	fprintf(stderr, "%s: ", program_invocation_short_name);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(1);
}

int64_t
now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

void *
need(size_t n)
{
	void *p = calloc(1, n > 0 ? n : 1);

	if (p == NULL)
		die("out of memory");
	return p;
}

/* ------- buffers */

char *
buffer_room(struct buffer *b, size_t n)
{
	if (b->done == b->used)
		b->done = b->used = 0;
	if (b->used + n > b->room && b->done > 0) {
		memmove(b->p, b->p + b->done, b->used - b->done);
		b->used -= b->done;
		b->done = 0;
	}
	if (b->used + n > b->room) {
		b->room = (b->used + n) * 2;
		b->p = realloc(b->p, b->room);
		if (b->p == NULL)
			die("out of memory");
	}
	return b->p + b->used;
}

void
buffer_put(struct buffer *b, const void *p, size_t n)
{
	memcpy(buffer_room(b, n), p, n);
	b->used += n;
}

void
buffer_consume(struct buffer *b, size_t n)
{
	b->done += n;
}

void
buffer_free(struct buffer *b)
{
	free(b->p);
	*b = (struct buffer){0};
}

void
put_digits(char *to, uint64_t value, unsigned width)
{
	while (width > 0) {
		to[--width] = (char)('0' + value % 10);
		value /= 10;
	}
}

/* ------- sockets */

static struct sockaddr_in
address_of(const char *text)
{
	struct sockaddr_in a = {.sin_family = AF_INET};
	const char *colon = strrchr(text, ':');
	char host[64] = "";

	if (colon == NULL || (size_t)(colon - text) >= sizeof(host))
		die("%s is not HOST:PORT", text);
	memcpy(host, text, (size_t)(colon - text));
	if (inet_pton(AF_INET, host, &a.sin_addr) != 1)
		die("%s is not an IPv4 address", host);
	a.sin_port = htons((uint16_t)strtoul(colon + 1, NULL, 10));
	return a;
}

void
set_socket(int fd)
{
	int on = 1;

	if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) != 0)
		die("fcntl: %s", strerror(errno));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

int
connect_to(const char *address)
{
	struct sockaddr_in a = address_of(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)) != 0)
		die("%s: %s", address, strerror(errno));
	set_socket(fd);
	return fd;
}

int
listen_on(const char *address)
{
	struct sockaddr_in a = address_of(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

	if (fd < 0)
		die("socket: %s", strerror(errno));
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&a, sizeof(a)) != 0 || listen(fd, 4096) != 0)
		die("%s: %s", address, strerror(errno));
	set_socket(fd);
	return fd;
}

unsigned
port_of(int fd)
{
	struct sockaddr_in a;
	socklen_t n = sizeof(a);

	if (getsockname(fd, (struct sockaddr *)&a, &n) != 0)
		die("getsockname: %s", strerror(errno));
	return ntohs(a.sin_port);
}

/* ------- options */

static void __attribute__((noreturn))
options_usage(const char *usage, const struct option_row *rows, size_t n, int status)
{
	FILE *to = status == 0 ? stdout : stderr;

	fprintf(to, "usage: %s\n", usage);
	for (size_t i = 0; i < n; i++)
		fprintf(to, "  --%-18s %s\n", rows[i].name, rows[i].help);
	exit(status);
}

void
options_read(const char *usage, const struct option_row *rows, size_t n, int argc, char **argv, int first)
{
	for (int i = first; i < argc; i++) {
		const struct option_row *row = NULL;
		for (size_t k = 0; k < n && strncmp(argv[i], "--", 2) == 0; k++)
			if (strcmp(argv[i] + 2, rows[k].name) == 0)
				row = &rows[k];
		if (row == NULL)
			options_usage(usage, rows, n, strcmp(argv[i], "--help") == 0 ? 0 : 2);
		if (row->flag != NULL) {
			*row->flag = true;
			continue;
		}
		if (++i == argc)
			die("--%s needs a value", row->name);
		if (row->text != NULL) {
			*row->text = argv[i];
		} else {
			char *end;
			*row->number = strtoll(argv[i], &end, 10);
			if (*argv[i] == '\0' || *end != '\0')
				die("--%s %s is not a number", row->name, argv[i]);
		}
	}
}

uint64_t
next_random(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9E3779B97F4A7C15);

	z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
	return z ^ (z >> 31);
}

double
cpu_seconds(void)
{
	struct rusage r;

	getrusage(RUSAGE_SELF, &r);
	return (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) + (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec) / 1e6;
}
