/* Filters of the quarantine. What PostgreSQL could only refuse is refused here. */
#include "quarantine.h"

#include <stddef.h>

#include "members.h"
#include "proto/text.h"
#include "proto/timestamp.h"

#define MEMBER(name, field) {#name, offsetof(struct quarantine_filter, name), field}

const struct quarantine_member quarantine_members[] = {
	MEMBER(id, FIELD_QUARANTINE), MEMBER(state, FIELD_WORD), MEMBER(feed, FIELD_FACILITY), MEMBER(reason, FIELD_CHANNEL), MEMBER(visit, FIELD_VISIT_NO),
	MEMBER(text, FIELD_SOURCE_LINE), MEMBER(day, FIELD_TIME), MEMBER(from, FIELD_TIME), MEMBER(until, FIELD_TIME), MEMBER(order, FIELD_WORD),
};
const size_t quarantine_n_members = sizeof(quarantine_members) / sizeof(quarantine_members[0]);

enum { MOST_AT_ONCE = 1000, ID_DIGITS = 18 };

static bool
is_number(struct view v)
{
	for (size_t i = 0; i < v.n; i++)
		if (v.p[i] < '0' || v.p[i] > '9')
			return false;
	return v.n <= ID_DIGITS;
}

static struct view
member_of(const struct quarantine_filter *f, const struct quarantine_member *m)
{
	struct view v;

	memcpy(&v, (const char *)f + m->offset, sizeof(v));
	return v;
}

static void
put(struct text *t, const char *name, struct view value)
{
	text_string(t, t->n > 1 ? ",\"" : "\"");
	text_string(t, name);
	text_string(t, "\":");
	text_quoted(t, value);
}

static void
put_time(struct text *t, const char *name, int64_t at)
{
	char buf[TIMESTAMP_TEXT];

	put(t, name, view_of(timestamp_rfc3339(at, 0, buf)));
}

/* A time to the second: what is below it belongs to the second. */
static const char *
put_times(struct text *t, const struct quarantine_filter *f, int offset, const char **ret_member)
{
	const struct { const char *name; struct view text; } ends[] = {{"from", f->from}, {"until", f->until}};
	int32_t day;
	int64_t at;

	*ret_member = "day";
	if (f->day.n > 0 && f->from.n + f->until.n > 0)
		return "is said beside from or until: one way is enough";
	if (f->day.n > 0 && timestamp_parse_date(f->day, &day) != 0)
		return "is not a day such as 2026-01-15";
	if (f->day.n > 0) {
		put_time(t, "from", day * TIMESTAMP_DAY - offset * TIMESTAMP_SECOND);
		put_time(t, "until", (day + 1) * TIMESTAMP_DAY - offset * TIMESTAMP_SECOND);
	}
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		*ret_member = ends[i].name;
		if (ends[i].text.n > 0 && timestamp_parse(ends[i].text, offset, &at) != 0)
			return "is not a time such as 2026-01-15T08:00:00+08:00";
		if (ends[i].text.n > 0)
			put_time(t, ends[i].name, at);
	}
	return NULL;
}

static bool
is_one_of(struct view v, const char *const *words)
{
	for (; *words != NULL; words++)
		if (view_is(v, *words))
			return true;
	return v.n == 0;
}

const char *
quarantine_filter_json(const struct quarantine_filter *f, int offset, struct arena *a, struct view *ret, const char **ret_member)
{
	struct text t = text_begin(a, 256);
	const char *complaint;

	for (size_t i = 0; i < quarantine_n_members; i++) {
		struct view v = member_of(f, &quarantine_members[i]);
		*ret_member = quarantine_members[i].name;
		if (v.n > 0 && (complaint = field_complaint(quarantine_members[i].field, v)) != NULL)
			return complaint;
	}
	*ret_member = "id";
	if (!is_number(f->id))
		return "is not the number of an entry";
	*ret_member = "state";
	if (!is_one_of(f->state, (const char *const[]){"waiting", "resolved", "all", NULL}))
		return "is waiting, resolved or all";
	*ret_member = "order";
	if (!is_one_of(f->order, (const char *const[]){"newest", "oldest", NULL}))
		return "is newest or oldest, of which come first";
	text_char(&t, '{');
	const struct { const char *name; struct view value; } texts[] = {
		{"id", f->id}, {"state", f->state}, {"feed", f->feed}, {"reason", f->reason}, {"visit", f->visit}, {"text", f->text}, {"order", f->order},
	};
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (texts[i].value.n > 0)
			put(&t, texts[i].name, texts[i].value);
	if ((complaint = put_times(&t, f, offset, ret_member)) != NULL)
		return complaint;
	text_char(&t, '}');
	text_char(&t, '\0');
	*ret = (struct view){t.p, t.n - 1};
	return NULL;
}

bool
quarantine_filter_is_narrow(const struct quarantine_filter *f)
{
	return f->id.n + f->feed.n + f->reason.n + f->visit.n + f->text.n + f->day.n + f->from.n + f->until.n > 0;
}

/* The object's members as texts; an id may be a number. */
static void
read_filter(const struct json *object, int offset, struct arena *a, struct quarantine_request *ret, struct refusal *refused)
{
	struct json_in in = {object, "/filter", -1, a, refused, 0};
	struct quarantine_filter f = {0};
	const char *names[16], *member, *complaint;
	size_t n = 0;

	for (; n < quarantine_n_members; n++) {
		const struct quarantine_member *m = &quarantine_members[n];
		const struct json *v = json_member(object, view_of(m->name));
		struct view text = v != NULL && v->kind == JSON_NUMBER && strcmp(m->name, "id") == 0 ? v->text : VIEW_NONE;
		if (text.n > 0)
			in.found++;
		else
			text = json_in_text(&in, m->name, m->field);
		memcpy((char *)&f + m->offset, &text, sizeof(text));
		names[n] = m->name;
	}
	names[n] = NULL;
	if ((member = json_in_unknown(&in, names)) != NULL && refused->reason == NULL)
		*refused = (struct refusal){"field_unknown", "is no member of this object that we know", member};
	if (f.state.n > 0 && !view_is(f.state, "waiting"))
		json_in_refuse(&in, "field_invalid", "what is resolved has ended: only what waits is replayed or dismissed", "state");
	if (!quarantine_filter_is_narrow(&f))
		json_in_refuse(&in, "field_missing", "says nothing but which come first: name an id, feed, reason, visit, text, day or time", "");
	if (refused->reason == NULL && (complaint = quarantine_filter_json(&f, offset, a, &ret->filter, &member)) != NULL)
		json_in_refuse(&in, "field_invalid", complaint, member);
}

int
quarantine_request_parse(struct view body, int offset, struct arena *a, struct quarantine_request *ret, struct refusal *refused)
{
	static const char *const names[] = {"filter", "dry_run", "why", "limit", "after", NULL};
	const struct json *root = json_in_body(body, a, refused);

	*ret = (struct quarantine_request){0};
	if (root == NULL)
		return -1;
	struct json_in in = {root, "", -1, a, refused, 0};
	const struct json *filter = json_in_child(&in, "filter", JSON_OBJECT);
	ret->dry_run = json_in_flag(&in, "dry_run");
	struct view why = json_in_text(&in, "why", FIELD_NAME);
	ret->why = why.n > 0 ? arena_copy(a, why.p, why.n) : VIEW_NONE;
	if (json_in_decimal(&in, "limit", 0, &ret->limit) && (ret->limit < 1 || ret->limit > MOST_AT_ONCE))
		json_in_refuse(&in, "field_invalid", "is 1 to 1000", "limit");
	if (json_in_decimal(&in, "after", 0, &ret->after) && ret->after < 0)
		json_in_refuse(&in, "field_invalid", "is the id of an entry", "after");
	const char *unknown = json_in_unknown(&in, names);
	if (unknown != NULL && refused->reason == NULL)
		*refused = (struct refusal){"field_unknown", "is no member of this object that we know", unknown};
	if (filter == NULL && refused->reason == NULL)
		json_in_refuse(&in, "field_missing", "is required", "filter");
	if (filter != NULL && refused->reason == NULL)
		read_filter(filter, offset, a, ret, refused);
	return refused->reason == NULL ? 0 : -1;
}
