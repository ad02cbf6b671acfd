/* JSON: any body goes the way of each kind of request. Every refusal has a name and a pointer, and makes a problem document that json-c reads back. */
#include "fuzz_intake.h"

#include <json-c/json.h>

#include "proto/api_json.h"
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
	FUZZ_CHECK(which == 0 || in.refused.reason != NULL || which == 3 || in.event.kind != EVENT_NONE);
	check_problem(&in.refused, &in.arena);
	for (size_t i = 0; i < in.n_lines; i++) {
		const struct charge_line *l = &in.lines[i];
		check_problem(&l->refused, &in.arena);
		for (size_t k = i + 1; k < in.n_lines && k < i + 8; k++)	/* together, and in their order */
			FUZZ_CHECK(in.lines[k].visit == l->visit ? in.lines[k].ordinal > l->ordinal : in.lines[k].visit > l->visit);
	}
	arena_free(&in.arena);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size > 65536)
		return 0;
	char *bytes = fuzz_copy(data, size);
	for (int which = 0; which < 4; which++)
		read_request((struct view){bytes, size}, which);
	free(bytes);
	return 0;
}
