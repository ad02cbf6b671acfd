/* The log: one line an event on stderr, `time level event key=value …` (logfmt), so that journald and grep both like it.
 * Never a patient's name or number, never a token: log ids. The only global state of the daemon. */
#ifndef VB_BASE_LOG_H
#define VB_BASE_LOG_H

#include <stdbool.h>

enum log_level { LOG_DEBUG_LEVEL, LOG_INFO_LEVEL, LOG_WARN_LEVEL, LOG_ERROR_LEVEL };

/* Lines below the level are not written: debug, info, warn or error. Another name changes nothing. */
void log_set_level(const char *name);
bool log_level_exists(const char *name);

/* event: a short fixed name ("feed.connected"); format: key=value pairs. Values with blanks are the caller's to quote. */
void log_debug(const char *event, const char *format, ...) __attribute__((format(printf, 2, 3)));
void log_info(const char *event, const char *format, ...) __attribute__((format(printf, 2, 3)));
void log_warn(const char *event, const char *format, ...) __attribute__((format(printf, 2, 3)));
void log_error(const char *event, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The same with errno's text. */
void log_errno(const char *event, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* At start, or when an invariant is broken: says why and exits 1. */
void fatal(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

#endif
