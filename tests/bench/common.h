/* The task is what every program of the benchmark needs and the daemon has of its own: a clock, a growing buffer, sockets, options. Nothing of
 * the daemon is linked in: what measures shares no bug with what is measured. All of it ends the program on a failure that is not the peer's. */
#ifndef VB_BENCH_COMMON_H
#define VB_BENCH_COMMON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Says why on standard error and exits with status 1. */
void die(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

/* Monotonic, nanoseconds. */
int64_t now_ns(void);

void *need(size_t n);			/* zeroed memory, never NULL */

/* Bytes used of room; [done, used) is not yet consumed. */
struct buffer {
	char *p;
	size_t done, used, room;
};

char *buffer_room(struct buffer *b, size_t n);	/* where n bytes may be written; the caller adds to used */
void buffer_put(struct buffer *b, const void *p, size_t n);
void buffer_consume(struct buffer *b, size_t n);
void buffer_free(struct buffer *b);

/* value in decimal with leading zeros, exactly width characters at to. */
void put_digits(char *to, uint64_t value, unsigned width);

/* HOST:PORT, connected, not blocking, without delay. */
int connect_to(const char *address);
int listen_on(const char *address);	/* not blocking; port 0 takes a free one */
unsigned port_of(int fd);
void set_socket(int fd);		/* not blocking, without delay */

/* One option of a program: --name VALUE. */
struct option_row {
	const char *name, *help;
	const char **text;		/* one of these is set */
	int64_t *number;
	bool *flag;
};

/* Reads argv from first on; unknown ones, and --help, end the program. */
void options_read(const char *usage, const struct option_row *rows, size_t n, int argc, char **argv, int first);

/* splitmix64: a cheap stream of numbers that looks random. */
uint64_t next_random(uint64_t *state);

/* User and system time of this process, seconds. */
double cpu_seconds(void);

#endif
