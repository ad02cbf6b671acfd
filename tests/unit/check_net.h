/* A loop and what connections share, for tests of net; and a file that stands in for stderr, for tests of what is logged. */
#ifndef VB_TESTS_CHECK_NET_H
#define VB_TESTS_CHECK_NET_H

#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "check_main.h"
#include "net/conn.h"

struct world {
	struct event_base *base;
	struct metrics *metrics;
	struct budget budget;
	struct conn_shared shared;
};

static inline void
world_open(struct world *w)
{
	*w = (struct world){.base = turn_base_new(), .metrics = metrics_new(), .budget = {.limit = 1 << 20, .strangers_limit = 1 << 18}};
	w->shared = (struct conn_shared){w->base, &w->budget, turn_new(w->base, w->metrics)};
	signal(SIGPIPE, SIG_IGN);
}

/* Nothing may be counted any more. */
static inline void
world_close(struct world *w)
{
	ck_assert_uint_eq(w->budget.used, 0);
	ck_assert_uint_eq(w->budget.strangers_used, 0);
	turn_free(w->shared.turn);
	event_base_free(w->base);
	metrics_free(w->metrics);
}

/* Turns of the loop that do not wait. */
static inline void
world_turns(struct world *w, int turns)
{
	while (turns-- > 0)
		event_base_loop(w->base, EVLOOP_NONBLOCK);
}

static inline void
world_run(struct world *w, int ms)
{
	struct timeval after = {ms / 1000, ms % 1000 * 1000};

	event_base_loopexit(w->base, &after);
	event_base_dispatch(w->base);
}

/* Until it is so, for five seconds at most. Returns after how many milliseconds. */
static inline int
world_until(struct world *w, const bool *so)
{
	int64_t began = clock_monotonic();

	while (!*so && clock_monotonic() - began < 5000000)
		world_run(w, 2);
	ck_assert_msg(*so, "it did not come");
	return (int)((clock_monotonic() - began) / 1000);
}

/* ------- what is logged */

struct log_file {
	FILE *file;
	int stderr_before;
	char text[16384];
};

static inline void
log_file_open(struct log_file *l)
{
	l->file = tmpfile();
	ck_assert_ptr_nonnull(l->file);
	fflush(stderr);
	l->stderr_before = dup(STDERR_FILENO);
	dup2(fileno(l->file), STDERR_FILENO);
}

/* What was logged since it was opened. */
static inline const char *
log_file_text(struct log_file *l)
{
	ssize_t n = pread(fileno(l->file), l->text, sizeof(l->text) - 1, 0);

	l->text[n > 0 ? n : 0] = '\0';
	return l->text;
}

static inline void
log_file_close(struct log_file *l)
{
	dup2(l->stderr_before, STDERR_FILENO);
	close(l->stderr_before);
	fclose(l->file);
}

static inline int
lines_of(const char *text)
{
	int n = 0;

	for (; *text != '\0'; text++)
		n += *text == '\n';
	return n;
}

#endif
