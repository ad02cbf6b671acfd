/* Writing log lines: each one composed on the stack and written by one write(2). */
#include "log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char *const level_names[] = {"debug", "info", "warn", "error"};
static enum log_level threshold = LOG_INFO_LEVEL;

static int
level_of(const char *name)
{
	for (int i = 0; i < (int)(sizeof(level_names) / sizeof(level_names[0])); i++)
		if (strcmp(name, level_names[i]) == 0)
			return i;
	return -1;
}

void
log_set_level(const char *name)
{
	int level = level_of(name);

	if (level >= 0)
		threshold = (enum log_level)level;
}

bool
log_level_exists(const char *name)
{
	return level_of(name) >= 0;
}

static void __attribute__((format(printf, 4, 0)))
log_write(enum log_level level, int error, const char *event, const char *format, va_list args)
{
	char line[2048];
	struct timespec now;
	struct tm tm;
	size_t n, room = sizeof(line) - 1;

	if (level < threshold)
		return;
	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	n = strftime(line, room, "%Y-%m-%dT%H:%M:%S", &tm);
	n += (size_t)snprintf(line + n, room - n, ".%03ldZ %s %s ", now.tv_nsec / 1000000, level_names[level], event);
	int more = vsnprintf(line + n, room - n, format, args);
	if (more > 0)
		n += (size_t)more < room - n ? (size_t)more : room - n - 1;
	if (error != 0 && n < room) {
		more = snprintf(line + n, room - n, " error=\"%s\"", strerror(error));
		n += (size_t)more < room - n ? (size_t)more : room - n - 1;
	}
	for (size_t i = 0; i < n; i++)	/* what came from outside cannot forge a line */
		if ((unsigned char)line[i] < ' ')
			line[i] = ' ';
	line[n++] = '\n';
	if (write(STDERR_FILENO, line, n) < 0)
		return;		/* there is nowhere to complain */
}

#define LOG_AT(name, level, error)			\
void							\
name(const char *event, const char *format, ...)	\
{							\
	int saved = errno;				\
	va_list args;					\
	va_start(args, format);				\
	log_write(level, error, event, format, args);	\
	va_end(args);					\
	errno = saved;					\
}

LOG_AT(log_debug, LOG_DEBUG_LEVEL, 0)
LOG_AT(log_info, LOG_INFO_LEVEL, 0)
LOG_AT(log_warn, LOG_WARN_LEVEL, 0)
LOG_AT(log_error, LOG_ERROR_LEVEL, 0)
LOG_AT(log_errno, LOG_ERROR_LEVEL, saved)

void
fatal(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	log_write(LOG_ERROR_LEVEL, 0, "fatal", format, args);
	va_end(args);
	exit(1);
}
