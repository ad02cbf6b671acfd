/* The filter's options, and the sum over what it means. */
#include "quarantine_many.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "document.h"
#include "table.h"

struct quarantine_filter
quarantine_filter_of(const struct quarantine_words *w)
{
	return (struct quarantine_filter){.feed = view_of(w->feed), .reason = view_of(w->reason), .visit = view_of(w->visit), .text = view_of(w->text),
	    .day = view_of(w->day), .from = view_of(w->from), .until = view_of(w->until)};
}

int
quarantine_filter_read(const struct ctl *c, const struct quarantine_filter *f, struct arena *a, const char **ret)
{
	struct view json;
	const char *member, *complaint = quarantine_filter_json(f, (int)c->config->hospital.utc_offset, a, &json, &member);

	if (complaint != NULL)
		return ctl_usage(c, "--%s %s", member, complaint);
	*ret = arena_printf(a, "%.*s", (int)json.n, json.p);
	return CTL_OK;
}

struct group {
	char *feed, *reason;
	int64_t n;
};

/* How many there are of each feed and reason, added up over the documents of quarantine_summary. */
struct quarantine_sum {
	struct group *groups;
	size_t n_groups;
	int64_t total;
	json_object *examples;		/* of the first document that has any */
};

static void
sum_free(struct quarantine_sum *s)
{
	for (size_t i = 0; i < s->n_groups; i++) {
		free(s->groups[i].feed);
		free(s->groups[i].reason);
	}
	free(s->groups);
	json_object_put(s->examples);
}

static struct group *
group_of(struct quarantine_sum *s, const char *feed, const char *reason)
{
	for (size_t i = 0; i < s->n_groups; i++)
		if (strcmp(s->groups[i].feed, feed) == 0 && strcmp(s->groups[i].reason, reason) == 0)
			return &s->groups[i];
	struct group *grown = memory_new((s->n_groups + 1) * sizeof(*grown));
	if (s->n_groups > 0)
		memcpy(grown, s->groups, s->n_groups * sizeof(*grown));
	free(s->groups);
	s->groups = grown;
	grown[s->n_groups] = (struct group){memory_text(feed, strlen(feed)), memory_text(reason, strlen(reason)), 0};
	return &grown[s->n_groups++];
}

/* Returns the id that the next document is to be asked for, 0 at the end. */
static int64_t
sum_add(struct quarantine_sum *s, json_object *doc)
{
	json_object *by = document_member(doc, "by"), *examples = document_member(doc, "examples");

	for (size_t i = 0; by != NULL && i < json_object_array_length(by); i++) {
		json_object *row = json_object_array_get_idx(by, i);
		const char *feed = document_text(row, "feed"), *reason = document_text(row, "reason");
		group_of(s, feed != NULL ? feed : "", reason != NULL ? reason : "")->n += json_object_get_int64(document_member(row, "count"));
	}
	s->total += json_object_get_int64(document_member(doc, "matching"));
	if (s->examples == NULL && examples != NULL && json_object_array_length(examples) > 0)
		s->examples = json_object_get(examples);
	return json_object_get_int64(document_member(doc, "next"));
}

static void
print_examples(json_object *examples, FILE *out)
{
	static const struct column columns[] = {
		{"id", TEXT_RIGHT, false}, {"received", TEXT_LEFT, false}, {"feed", TEXT_LEFT, false}, {"reason", TEXT_LEFT, false},
		{"visit", TEXT_LEFT, false}, {"line", TEXT_LEFT, true}, {"detail", TEXT_LEFT, true},
	};
	struct table *t = table_new(columns, 7);
	char received[DOCUMENT_TIME];

	for (size_t i = 0; i < json_object_array_length(examples); i++) {
		json_object *e = json_object_array_get_idx(examples, i);
		table_add(t, (const char *[]){document_text(e, "id"), document_time(document_text(e, "received_at"), true, received), document_text(e, "feed"),
		    document_text(e, "reason"), document_text(e, "visit_no"), document_text(e, "source_line"), document_text(e, "detail")});
	}
	fputs("for example\n", out);
	table_print(t, out, 2);
	table_free(t);
}

static void
sum_print(const struct quarantine_sum *s, FILE *out)
{
	static const struct column columns[] = {{"entries", TEXT_RIGHT, false}, {"feed", TEXT_LEFT, false}, {"reason", TEXT_LEFT, false}};
	struct table *t = table_new(columns, 3);
	char count[24];

	for (size_t i = 0; i < s->n_groups; i++) {
		snprintf(count, sizeof(count), "%" PRId64, s->groups[i].n);
		table_add(t, (const char *[]){count, s->groups[i].feed, s->groups[i].reason});
	}
	if (s->n_groups > 0)
		table_print(t, out, 0);
	else
		fputs("nothing waits that this means\n", out);
	if (s->examples != NULL)
		print_examples(s->examples, out);
	table_free(t);
}

static int
sum_up(struct quarantine_sum *s, const struct quarantine_deed *deed, void *arg)
{
	int64_t after = 0;

	do {
		json_object *doc = deed->ask(arg, after);
		if (doc == NULL)
			return CTL_FAILED;
		after = sum_add(s, doc);
		json_object_put(doc);
	} while (after > 0);
	return CTL_OK;
}

int
quarantine_many(const struct quarantine_deed *deed, void *arg, bool yes)
{
	struct quarantine_sum s = {0};
	int status = sum_up(&s, deed, arg);

	if (status == CTL_OK)
		sum_print(&s, stdout);
	if (status == CTL_OK && s.total > 0 && yes)
		status = deed->all(arg, s.total);
	else if (status == CTL_OK && s.total > 0)
		printf("nothing was %s; --yes does it\n", deed->done);
	sum_free(&s);
	return status;
}
