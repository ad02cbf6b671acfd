/* JSON: any body goes the way of each kind of request. Every refusal has a name and a pointer, and makes a problem document that json-c reads back;
 * and what our reader takes, json-c takes as well and finds the same values in. */
#include "fuzz_intake.h"

#include <json-c/json.h>

#include "proto/json/requests.h"
#include "proto/json/reader.h"
#include "proto/problem.h"

/* A refusal as the caller gets it. */
static void
check_problem(const struct refusal *r, struct arena *a)
{
	int status = 0;

	if (r->reason == NULL)
		return;
	FUZZ_CHECK(r->location != NULL && (r->location[0] == '\0' || r->location[0] == '/'));	/* RFC 6901 */
	struct view text = problem_json(a, r, &status);
	FUZZ_CHECK(status >= 400 && status < 600 && utf8_is_valid(text));
	struct json_tokener *t = json_tokener_new();
	FUZZ_CHECK(t != NULL);
	json_tokener_set_flags(t, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	struct json_object *o = json_tokener_parse_ex(t, text.p, (int)text.n);
	FUZZ_CHECK(json_object_is_type(o, json_type_object) && json_tokener_get_parse_end(t) == text.n);
	json_object_put(o);
	json_tokener_free(t);
}

static void
read_request(struct view body, int which)
{
	struct intake in = {.n_lines = 0};
	struct place at = {.input = body, .chunk_size = body.n * 40 + 65536, .arena = &in.arena, .utf8 = true};
	struct api_context c = {.now = FUZZ_NOW, .offset = FUZZ_OFFSET, .max_lines = FUZZ_LINES};
	struct api_payment payment = {.amount = 4711};

	arena_init(&in.arena, at.chunk_size);
	at.chunk = arena_alloc(&in.arena, 16);
	c.facility = arena_copy(&in.arena, "H01", 3);
	switch (which) {
	case 0:
		api_charges_parse(body, &c, &in);
		break;
	case 1:
		api_visit_parse(body, &c, &in);
		break;
	case 2:
		api_discharge_parse(body, &c, EVENT_DISCHARGE, c.facility, c.facility, &in);
		break;
	default:
		if (api_payment_parse(body, &in.arena, &payment, &in.refused) == 0) {
			FUZZ_CHECK(in.refused.reason == NULL && payment.amount > 0 && payment.amount <= AMOUNT_MAX && payment.version >= 0);
			check_view(&at, payment.channel);
		} else {
			FUZZ_CHECK(in.refused.reason != NULL && payment.amount == 4711);
		}
	}
	check_intake(&at, &in);
	FUZZ_CHECK(which == 0 || in.refused.reason != NULL || which == 3 || in.n_events == 1);
	check_problem(&in.refused, &in.arena);
	for (size_t i = 0; i < in.n_lines; i++) {
		const struct charge_line *l = &in.lines[i];
		check_problem(&l->refused, &in.arena);
		for (size_t k = i + 1; k < in.n_lines && k < i + 8; k++)	/* together, and in their order */
			FUZZ_CHECK(in.lines[k].visit == l->visit ? in.lines[k].ordinal > l->ordinal : in.lines[k].visit > l->visit);
	}
	arena_free(&in.arena);
}

static void
compare(const struct json *v, struct json_object *other)
{
	static const enum json_type types[] = {json_type_null, json_type_boolean, json_type_boolean, json_type_int, json_type_string, json_type_array,
	    json_type_object};
	size_t i = 0;

	FUZZ_CHECK(json_object_is_type(other, types[v->kind]) || (v->kind == JSON_NUMBER && json_object_is_type(other, json_type_double)));
	if (v->kind == JSON_STRING)
		FUZZ_CHECK((size_t)json_object_get_string_len(other) == v->text.n
		    && (v->text.n == 0 || memcmp(json_object_get_string(other), v->text.p, v->text.n) == 0));
	if (v->kind == JSON_ARRAY)
		FUZZ_CHECK(json_object_array_length(other) == v->count);
	if (v->kind < JSON_ARRAY)
		return;
	for (const struct json *m = v->first; m != NULL; m = m->next, i++) {
		struct json_object *found = v->kind == JSON_ARRAY ? json_object_array_get_idx(other, i) : NULL;
		if (v->kind == JSON_OBJECT) {
			char name[256];
			if (m->name.n >= sizeof(name) || memchr(m->name.p, '\0', m->name.n) != NULL)
				continue;	/* json-c's names end at a NUL */
			memcpy(name, m->name.p, m->name.n);
			name[m->name.n] = '\0';
			FUZZ_CHECK(json_object_object_get_ex(other, name, &found));
			bool prefix = false;	/* of another name, cut by json-c at its NUL: which of the two it kept is its own affair */
			for (const struct json *k = v->first; k != NULL; k = k->next)
				prefix = prefix || (k != m && k->name.n > m->name.n && memcmp(k->name.p, name, m->name.n + 1) == 0);
			if (prefix)
				continue;
		}
		compare(m, found);
	}
}

static void
read_alike(struct view body)
{
	struct arena a;
	struct json_error e = {0};

	arena_init(&a, 1024);
	const struct json *v = utf8_is_valid(body) ? json_parse(body, &a, &e) : NULL;
	FUZZ_CHECK(v != NULL || !utf8_is_valid(body) || (e.complaint != NULL && e.at <= body.n));
	FUZZ_CHECK(a.total <= body.n * 16 + 128 * 1024);
	if (v != NULL && v->kind >= JSON_ARRAY) {	/* of a bare number json-c waits for more */
		struct json_tokener *t = json_tokener_new();
		FUZZ_CHECK(t != NULL);
		json_tokener_set_flags(t, JSON_TOKENER_VALIDATE_UTF8);
		struct json_object *o = json_tokener_parse_ex(t, body.p, (int)body.n);
		compare(v, o);
		json_object_put(o);
		json_tokener_free(t);
	}
	arena_free(&a);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size > 65536)
		return 0;
	char *bytes = fuzz_copy(data, size);
	read_alike((struct view){bytes, size});
	for (int which = 0; which < 4; which++)
		read_request((struct view){bytes, size}, which);
	free(bytes);
	return 0;
}
