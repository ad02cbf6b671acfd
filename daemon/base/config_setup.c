/* The daemon says it at start and at reload, visitbillctl before a first import of items. */
#include "config_setup.h"

#include <inttypes.h>
#include <json-c/json.h>
#include <string.h>

#include "memory.h"

/* Milliseconds as a number of seconds, by its text: no rounding. */
static json_object *
seconds(int64_t ms)
{
	char text[32];

	snprintf(text, sizeof(text), "%" PRId64 ".%03d", ms / 1000, (int)(ms % 1000));
	return json_object_new_double_s((double)ms / 1000, text);
}

static json_object *
facility_json(const struct config_facility *f)
{
	json_object *o = json_object_new_object();

	json_object_object_add(o, "code", json_object_new_string(f->code));
	json_object_object_add(o, "name", json_object_new_string(f->name));
	json_object_object_add(o, "grace_s", seconds(f->grace_ms));
	json_object_object_add(o, "late_grace_s", seconds(f->late_grace_ms));
	json_object_object_add(o, "due_hours", json_object_new_int64(f->due_hours));
	json_object_object_add(o, "outpatient_limit", json_object_new_int64(f->outpatient_limit));
	json_object_object_add(o, "inpatient_limit", json_object_new_int64(f->inpatient_limit));
	json_object_object_add(o, "visit_amount", json_object_new_int64(f->visit_amount));
	json_object_object_add(o, "visit_day_amount", json_object_new_int64(f->visit_day_amount));
	json_object *close = json_object_new_object();
	json_object_object_add(close, "outpatient", json_object_new_string(f->outpatient_close));
	json_object_object_add(close, "emergency", json_object_new_string(f->emergency_close));
	json_object_object_add(close, "inpatient", json_object_new_string(f->inpatient_close));
	json_object_object_add(o, "close", close);
	return o;
}

static json_object *
feed_json(const struct config_feed *f)
{
	json_object *o = json_object_new_object();

	json_object_object_add(o, "name", json_object_new_string(f->name));
	json_object_object_add(o, "facility", json_object_new_string(f->facility));
	json_object_object_add(o, "application", json_object_new_string(f->application));
	json_object_object_add(o, "waits", json_object_new_boolean(f->waits));
	return o;
}

char *
config_setup_json(const struct config *c)
{
	json_object *o = json_object_new_object(), *facilities = json_object_new_array(), *feeds = json_object_new_array();

	for (size_t i = 0; i < c->n_facilities; i++)
		json_object_array_add(facilities, facility_json(&c->facilities[i]));
	for (size_t i = 0; i < c->n_feeds; i++)
		json_object_array_add(feeds, feed_json(&c->feeds[i]));
	json_object_object_add(o, "facilities", facilities);
	json_object_object_add(o, "feeds", feeds);
	const char *text = json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN);
	char *copy = memory_text(text, strlen(text));
	json_object_put(o);
	return copy;
}
