/* The directory: a short list, looked through in order; a hospital has tens of feeds. */
#include "directory.h"

#include <json-c/json.h>
#include <stdlib.h>

#include "access/certificate.h"
#include "base/memory.h"

struct text_entry {
	struct text_entry *next;
	char text[];
};

/* A profile, by the texts that it was made of. */
struct profile_entry {
	struct profile_entry *next;
	struct hl7_profile *profile;
	const char *texts[PROFILE_KEYS];	/* of the directory's: equal ones are the same */
};

struct directory {
	struct metrics *metrics;
	struct feed *feeds, **tail;
	struct text_entry *texts;	/* of all snapshots so far, each once: an operator types tens of them */
	struct profile_entry *profiles;
};

struct directory *
directory_new(struct metrics *metrics)
{
	struct directory *d = memory_new(sizeof(*d));

	d->metrics = metrics;
	d->tail = &d->feeds;
	return d;
}

/* A copy that lives as long as the directory. */
static const char *
keep(struct directory *d, const char *text)
{
	size_t n = strlen(text);
	struct text_entry *e;

	for (e = d->texts; e != NULL; e = e->next)
		if (strcmp(e->text, text) == 0)
			return e->text;
	e = memory_new(sizeof(*e) + n + 1);
	memcpy(e->text, text, n);
	e->next = d->texts;
	d->texts = e;
	return e->text;
}

/* The profile of a feed's settings, one for all that say the same. */
static const struct hl7_profile *
profile_of(struct directory *d, const struct config_feed *c)
{
	struct profile_entry *e, entry;

	for (int i = 0; i < PROFILE_KEYS; i++)
		entry.texts[i] = keep(d, c->profile[i]);
	for (e = d->profiles; e != NULL; e = e->next)
		if (memcmp(e->texts, entry.texts, sizeof(entry.texts)) == 0)
			return e->profile;
	e = memory_new(sizeof(*e));
	memcpy(e->texts, entry.texts, sizeof(entry.texts));
	e->profile = hl7_profile_new(e->texts);
	e->next = d->profiles;
	d->profiles = e;
	return e->profile;
}

void
directory_free(struct directory *d)
{
	if (d == NULL)
		return;
	while (d->profiles != NULL) {
		struct profile_entry *e = d->profiles;
		d->profiles = e->next;
		hl7_profile_free(e->profile);
		free(e);
	}
	while (d->feeds != NULL) {
		struct feed *f = d->feeds;
		d->feeds = f->next;
		free(f->counts);
		free(f->numbers);
		free(f);
	}
	while (d->texts != NULL) {
		struct text_entry *e = d->texts;
		d->texts = e->next;
		free(e);
	}
	free(d);
}

static int
id_of(json_object *ids, const char *kind, const char *name)
{
	json_object *group, *id;

	if (!json_object_object_get_ex(ids, kind, &group) || !json_object_object_get_ex(group, name, &id))
		return 0;
	return json_object_get_int(id);
}

static struct feed *
feed_make(struct directory *d, const char *name)
{
	struct feed *f;
	char labels[128];

	for (f = d->feeds; f != NULL; f = f->next)
		if (strcmp(f->name, name) == 0)
			return f;
	f = memory_new(sizeof(*f));
	f->name = keep(d, name);
	*d->tail = f;
	d->tail = &f->next;
	snprintf(labels, sizeof(labels), "feed=\"%s\",result=\"ok\"", name);
	f->messages_ok = metrics_series(d->metrics, "visitbill_messages_total", METRIC_COUNTER, "Messages and requests of feeds by result.", labels);
	snprintf(labels, sizeof(labels), "feed=\"%s\",result=\"error\"", name);
	f->messages_error = metrics_series(d->metrics, "visitbill_messages_total", METRIC_COUNTER, "", labels);
	snprintf(labels, sizeof(labels), "feed=\"%s\",result=\"ignored\"", name);
	f->messages_ignored = metrics_series(d->metrics, "visitbill_messages_total", METRIC_COUNTER, "", labels);
	snprintf(labels, sizeof(labels), "feed=\"%s\",outcome=\"posted\"", name);
	f->lines_posted = metrics_series(d->metrics, "visitbill_lines_total", METRIC_COUNTER, "Charge lines by feed and outcome.", labels);
	return f;
}


int
directory_apply(struct directory *d, const struct config *config, const char *ids_json)
{
	json_object *ids = json_tokener_parse(ids_json);
	int result = -1;

	if (ids == NULL)
		return -1;
	for (size_t i = 0; i < config->n_facilities; i++)
		if (id_of(ids, "facilities", config->facilities[i].code) == 0)
			goto out;
	for (size_t i = 0; i < config->n_feeds; i++)
		if (id_of(ids, "feeds", config->feeds[i].name) == 0)
			goto out;
	for (struct feed *f = d->feeds; f != NULL; f = f->next)
		f->active = false;
	for (size_t i = 0; i < config->n_feeds; i++) {
		const struct config_feed *c = &config->feeds[i];
		struct feed *f = feed_make(d, c->name);
		f->feed_id = id_of(ids, "feeds", c->name);
		f->facility_id = id_of(ids, "facilities", c->facility);
		f->facility = keep(d, c->facility);
		f->application = keep(d, c->application);
		f->sending_facility = keep(d, c->sending_facility[0] != '\0' ? c->sending_facility : c->facility);
		f->certificate = keep(d, c->certificate);
		f->charset = keep(d, c->charset);
		f->profile = profile_of(d, c);
		for (size_t k = 0; k < config->n_facilities; k++)
			if (strcmp(config->facilities[k].code, c->facility) == 0) {
				f->line_quantity = config->facilities[k].line_quantity;
				f->line_amount = config->facilities[k].line_amount;
				f->visit_amount = config->facilities[k].visit_amount;
				f->visit_day_amount = config->facilities[k].visit_day_amount;
			}
		f->zbl = c->zbl;
		f->active = true;
	}
	result = 0;
out:
	json_object_put(ids);
	return result;
}

struct feed *
directory_feed_of_header(const struct directory *d, struct view application, struct view facility, const char **ret_reason)
{
	struct feed *any = NULL;
	bool facility_known = false;

	for (struct feed *f = d->feeds; f != NULL; f = f->next) {
		if (!f->active || f->application[0] == '\0')
			continue;
		bool at = view_is(facility, f->sending_facility), star = strcmp(f->sending_facility, "*") == 0;
		facility_known = facility_known || at || star;
		if (!at && !star)
			continue;
		if (at && view_is(application, f->application))
			return f;
		if (any == NULL && (view_is(application, f->application) || strcmp(f->application, "*") == 0))
			any = f;
	}
	if (any == NULL)
		*ret_reason = facility_known ? "feed_unknown" : "facility_unknown";
	return any;
}

bool
directory_knows(const struct directory *d, const struct tls_identity *identity)
{
	for (struct feed *f = d->feeds; f != NULL && identity != NULL; f = f->next)
		if (f->active && certificate_matches(f->certificate, identity))
			return true;
	return false;
}

struct feed *
directory_feed(const struct directory *d, struct view application, struct view facility, const struct sender *sender, const char **ret_reason)
{
	struct feed *f = directory_feed_of_header(d, application, facility, ret_reason);

	if (f == NULL)
		return NULL;
	if (f->certificate[0] != '\0' && !certificate_matches(f->certificate, sender->identity))
		*ret_reason = directory_knows(d, sender->identity) ? "feed_mismatch" : "certificate_required";
	else if (f->certificate[0] == '\0' && directory_knows(d, sender->identity))
		*ret_reason = "feed_mismatch";
	else if (f->certificate[0] == '\0' && !sender->msh_identity)
		*ret_reason = "certificate_required";
	else
		return f;
	return NULL;
}

struct feed *
directory_feed_named(const struct directory *d, const char *name)
{
	struct feed *f = d->feeds;

	while (f != NULL && (!f->active || strcmp(f->name, name) != 0))
		f = f->next;
	return f;
}

struct feed *
directory_feed_by_id(const struct directory *d, int feed_id)
{
	struct feed *f = d->feeds;

	while (f != NULL && f->feed_id != feed_id)
		f = f->next;
	return f;
}

struct feed *
directory_first(const struct directory *d)
{
	return d->feeds;
}
