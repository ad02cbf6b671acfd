/* Counters, gauges and histograms of the daemon, and their Prometheus text (exposition format 0.0.4). A family is declared once, a series is
 * looked up by its labels when it is first needed and counted by pointer after that. */
#ifndef VB_BASE_METRICS_H
#define VB_BASE_METRICS_H

#include <stdint.h>
#include <stdio.h>

struct metrics;
struct metric_series;

enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

struct metrics *metrics_new(void);
void metrics_free(struct metrics *m);

/* The series of a family with these labels (`feed="clinic",outcome="posted"` or ""), made on first use. Histograms have bounds in
 * powers of two of microseconds (shown as seconds) or of plain numbers (`_lines`). Owned by m. */
struct metric_series *metrics_series(struct metrics *m, const char *family, enum metric_type type, const char *help, const char *labels);

void metric_add(struct metric_series *s, int64_t n);
void metric_set(struct metric_series *s, int64_t value);
void metric_observe(struct metric_series *s, int64_t value);
/* Every series of the family to 0: for gauges that are filled in from what is there now. */
void metrics_reset(struct metrics *m, const char *family);
int64_t metric_value(const struct metric_series *s);

/* All families in the order they were declared. */
void metrics_print(const struct metrics *m, FILE *out);

#endif
