/* Metrics. Families named …_seconds hold microseconds inside and print seconds. */
#include "metrics.h"

#include <inttypes.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "memory.h"

enum { BUCKETS = 22 };		/* 1, 2, 4 … 2^20, +Inf */

struct metric_series {
	struct metric_series *next;
	char *labels;
	int64_t value;		/* of a histogram: the sum */
	int64_t count;
	int64_t buckets[BUCKETS];
};

struct metric_family {
	struct metric_family *next;
	char *name, *help;
	enum metric_type type;
	struct metric_series *series, **tail;
	void *by_labels;	/* tsearch's: a city has thousands */
};

struct metrics {
	struct metric_family *families, **tail;
};

static int
compare_labels(const void *a, const void *b)
{
	const struct metric_series *one = a, *other = b;

	return strcmp(one->labels, other->labels);
}

static void
leave(void *node)
{
	(void)node;
}

struct metrics *
metrics_new(void)
{
	struct metrics *m = memory_new(sizeof(*m));

	m->tail = &m->families;
	return m;
}

void
metrics_free(struct metrics *m)
{
	if (m == NULL)
		return;
	while (m->families != NULL) {
		struct metric_family *f = m->families;
		m->families = f->next;
		tdestroy(f->by_labels, leave);
		while (f->series != NULL) {
			struct metric_series *s = f->series;
			f->series = s->next;
			free(s->labels);
			free(s);
		}
		free(f->name);
		free(f->help);
		free(f);
	}
	free(m);
}

struct metric_series *
metrics_series(struct metrics *m, const char *family, enum metric_type type, const char *help, const char *labels)
{
	struct metric_family *f;

	for (f = m->families; f != NULL && strcmp(f->name, family) != 0; f = f->next)
		;
	if (f == NULL) {
		f = memory_new(sizeof(*f));
		f->name = memory_text(family, strlen(family));
		f->help = memory_text(help, strlen(help));
		f->type = type;
		f->tail = &f->series;
		*m->tail = f;
		m->tail = &f->next;
	}
	struct metric_series key = {.labels = (char *)labels}, *s;
	void *node = tfind(&key, &f->by_labels, compare_labels);

	if (node != NULL)
		return *(struct metric_series **)node;
	s = memory_new(sizeof(*s));
	s->labels = memory_text(labels, strlen(labels));
	if (tsearch(s, &f->by_labels, compare_labels) == NULL)
		fatal("out of memory for a metric");
	*f->tail = s;
	f->tail = &s->next;
	return s;
}

void
metric_add(struct metric_series *s, int64_t n)
{
	s->value += n;
}

void
metric_set(struct metric_series *s, int64_t value)
{
	s->value = value;
}

void
metrics_reset(struct metrics *m, const char *family)
{
	for (struct metric_family *f = m->families; f != NULL; f = f->next)
		if (strcmp(f->name, family) == 0)
			for (struct metric_series *s = f->series; s != NULL; s = s->next)
				s->value = 0;
}

int64_t
metric_value(const struct metric_series *s)
{
	return s->value;
}

void
metric_observe(struct metric_series *s, int64_t value)
{
	unsigned b = 0;

	while (b < BUCKETS - 1 && value > (INT64_C(1) << b))
		b++;
	s->buckets[b]++;
	s->count++;
	s->value += value;
}

static void
print_number(FILE *out, int64_t value, int seconds)
{
	if (seconds)
		fprintf(out, "%" PRId64 ".%06" PRId64, value / 1000000, value % 1000000);
	else
		fprintf(out, "%" PRId64, value);
}

static void
print_histogram(FILE *out, const struct metric_family *f, const struct metric_series *s, int seconds)
{
	const char *comma = s->labels[0] != '\0' ? "," : "";
	int64_t sum = 0;

	for (unsigned b = 0; b < BUCKETS; b++) {
		sum += s->buckets[b];
		fprintf(out, "%s_bucket{%s%sle=\"", f->name, s->labels, comma);
		if (b == BUCKETS - 1)
			fputs("+Inf", out);
		else
			print_number(out, INT64_C(1) << b, seconds);
		fprintf(out, "\"} %" PRId64 "\n", sum);
	}
	fprintf(out, "%s_sum%s%s%s ", f->name, *comma ? "{" : "", s->labels, *comma ? "}" : "");
	print_number(out, s->value, seconds);
	fprintf(out, "\n%s_count%s%s%s %" PRId64 "\n", f->name, *comma ? "{" : "", s->labels, *comma ? "}" : "", s->count);
}

void
metrics_print(const struct metrics *m, FILE *out)
{
	static const char *const types[] = {"counter", "gauge", "histogram"};

	for (const struct metric_family *f = m->families; f != NULL; f = f->next) {
		size_t n = strlen(f->name);
		int seconds = n > 8 && strcmp(f->name + n - 8, "_seconds") == 0;
		fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", f->name, f->help, f->name, types[f->type]);
		for (const struct metric_series *s = f->series; s != NULL; s = s->next) {
			if (f->type == METRIC_HISTOGRAM) {
				print_histogram(out, f, s, seconds);
				continue;
			}
			fprintf(out, "%s%s%s%s ", f->name, s->labels[0] ? "{" : "", s->labels, s->labels[0] ? "}" : "");
			print_number(out, s->value, seconds);
			fputc('\n', out);
		}
	}
}
