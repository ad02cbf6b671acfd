/* The steps: read, load keys, ask the database whether a section that is gone still has something alive, hand over. */
#include "reload.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/memory.h"
#include "db/column.h"

enum orphan_column { ORPHAN_KIND, ORPHAN_NAME, ORPHAN_LIVE };

struct reload {
	struct core *core;
	const char *path;
	reload_fn fn;
	void *arg;
	/* of the one that is going on */
	struct config *fresh;		/* NULL: none is */
	struct channels *channels;
	struct door_keys keys;
	bool again;
};

static void reload_start(struct reload *r);

void
config_log_plain_secrets(const struct config *c)
{
	for (size_t i = 0; i < c->n_tokens; i++)
		if (c->tokens[i].secret.was_plain)
			log_warn("settings.plain_secret", "section=\"token %s\" hint=\"visitbillctl token new keeps only its hash\"", c->tokens[i].name);
	for (size_t i = 0; i < c->n_feeds; i++)
		if (c->feeds[i].secret.was_plain)
			log_warn("settings.plain_secret", "section=\"feed %s\" hint=\"visitbillctl token new keeps only its hash\"", c->feeds[i].name);
}

/* Ends it: what was not handed over is given back. Then the next one, where one is wanted. */
static void
reload_end(struct reload *r, const char *kept_because)
{
	if (kept_because != NULL)
		log_error("reload", "kept=old why=\"%s\"", kept_because);
	channels_free(r->channels);
	door_keys_free(&r->keys);
	config_release(r->fresh);
	r->channels = NULL;
	r->fresh = NULL;
	if (r->again) {
		r->again = false;
		reload_start(r);
	}
}

static void
reload_hand_over(struct reload *r)
{
	const struct config *fresh = r->fresh;
	struct channels *channels = r->channels;
	char fixed[512];

	config_fixed_differences(r->core->config, fresh, fixed, sizeof(fixed));
	if (fixed[0] != '\0')
		log_warn("reload", "need_restart=\"%s\"", fixed);
	config_keep_fixed(r->fresh, r->core->config);
	config_log_plain_secrets(fresh);
	log_info("reload", "facilities=%zu feeds=%zu tokens=%zu merchants=%zu", fresh->n_facilities, fresh->n_feeds, fresh->n_tokens, fresh->n_merchants);
	r->channels = NULL;
	r->fn(r->arg, fresh, channels, &r->keys);
	reload_end(r, NULL);
}

/* ------- what a section that is gone would leave behind */

/* Under the same name, the same account: what another account has begun, this one cannot end. */
static bool
has_merchant(const struct config *c, const struct config_merchant *m)
{
	for (size_t i = 0; i < c->n_merchants; i++)
		if (strcmp(c->merchants[i].name, m->name) == 0 && strcmp(c->merchants[i].mchid, m->mchid) == 0 && strcmp(c->merchants[i].appid, m->appid) == 0)
			return true;
	return false;
}

/* Is there no merchant of that name with another account? */
static bool
has_account(const struct config *c, const struct config_merchant *m)
{
	for (size_t i = 0; i < c->n_merchants; i++)
		if (strcmp(c->merchants[i].name, m->name) == 0)
			return has_merchant(c, m);
	return true;
}

static const struct config_feed *
feed_named(const struct config *c, const char *name)
{
	for (size_t i = 0; i < c->n_feeds; i++)
		if (strcmp(c->feeds[i].name, name) == 0)
			return &c->feeds[i];
	return NULL;
}

/* Under the same name, at the same facility: what waits at another one would never find its original. */
static bool
has_feed(const struct config *c, const struct config_feed *f)
{
	const struct config_feed *same = feed_named(c, f->name);

	return same != NULL && strcmp(same->facility, f->facility) == 0;
}

static bool
lacks_sections(const struct config *old, const struct config *fresh)
{
	for (size_t i = 0; i < old->n_merchants; i++)
		if (!has_merchant(fresh, &old->merchants[i]))
			return true;
	for (size_t i = 0; i < old->n_feeds; i++)
		if (!has_feed(fresh, &old->feeds[i]))
			return true;
	return false;
}

/* Does this reload make it one? What was gone before is no reason against it. */
static bool
is_made_here(const struct reload *r, const char *kind, const char *name)
{
	const struct config *old = r->core->config;

	if (strcmp(kind, "feed") == 0)
		return feed_named(old, name) != NULL && !has_feed(r->fresh, feed_named(old, name));
	for (size_t i = 0; i < old->n_merchants; i++)
		if (strcmp(old->merchants[i].name, name) == 0)
			return !has_merchant(r->fresh, &old->merchants[i]);
	return false;
}

static void
on_orphans(void *arg, const struct pg_outcome *outcome, const PGresult *rows)
{
	struct reload *r = arg;
	char why[400];
	size_t used = 0;

	if (outcome->verdict != PG_DONE) {
		reload_end(r, "a merchant or feed is gone from the settings, and the database cannot be asked whether something of it is alive");
		return;
	}
	for (int row = 0; row < PQntuples(rows) && used < sizeof(why); row++) {
		const char *kind = PQgetvalue(rows, row, ORPHAN_KIND), *name = PQgetvalue(rows, row, ORPHAN_NAME);
		if (!is_made_here(r, kind, name))
			continue;
		used += (size_t)snprintf(why + used, sizeof(why) - used, "%s%s %s is gone from the settings but has %s %s", used > 0 ? "; " : "",
		    kind, name, PQgetvalue(rows, row, ORPHAN_LIVE), strcmp(kind, "merchant") == 0 ? "payments in progress" : "reversals that wait for their original");
	}
	if (used > 0)
		reload_end(r, why);
	else
		reload_hand_over(r);
}

static int
ask_for_orphans(struct reload *r, const struct config *c, pool_fn fn)
{
	struct column merchants = {0}, feeds = {0};

	column_reset(&merchants);
	column_reset(&feeds);
	/* a merchant whose account changed is asked for like one that is gone */
	for (size_t i = 0; i < c->n_merchants; i++)
		if (c == r->core->config || has_account(r->core->config, &c->merchants[i]))
			column_text(&merchants, view_of(c->merchants[i].name));
	for (size_t i = 0; i < c->n_feeds; i++)
		column_text(&feeds, view_of(c->feeds[i].name));
	struct pg_param params[] = {{column_value(&merchants, PG_TEXT), true}, {column_value(&feeds, PG_TEXT), true}};
	int result = pool_call(r->core->pool, SQL_RELOAD_ORPHANS, params, 2, fn, r);
	column_free(&merchants);
	column_free(&feeds);
	return result;
}

static void
on_orphans_at_start(void *arg, const struct pg_outcome *outcome, const PGresult *rows)
{
	(void)arg;
	for (int row = 0; outcome->verdict == PG_DONE && row < PQntuples(rows); row++)
		log_error("settings.orphan", "%s=%s live=%s why=\"the settings do not know it, so what is alive of it waits\"",
		    PQgetvalue(rows, row, ORPHAN_KIND), PQgetvalue(rows, row, ORPHAN_NAME), PQgetvalue(rows, row, ORPHAN_LIVE));
}

void
reload_report_orphans(struct reload *r)
{
	if (ask_for_orphans(r, r->core->config, on_orphans_at_start) != 0)
		log_warn("settings.orphan", "why=\"the database cannot be asked what is alive of sections that are gone\"");
}

/* ------- the beginning */

static void
reload_start(struct reload *r)
{
	char error[512];

	r->fresh = config_load(r->path, error, sizeof(error));
	if (r->fresh == NULL || (r->channels = channels_new(r->core, r->fresh, error, sizeof(error))) == NULL
	    || door_keys_load(r->fresh, &r->keys, error, sizeof(error)) != 0) {
		reload_end(r, error);
		return;
	}
	if (!lacks_sections(r->core->config, r->fresh))
		reload_hand_over(r);
	else if (ask_for_orphans(r, r->fresh, on_orphans) != 0)
		reload_end(r, "a merchant or feed is gone from the settings, and the database cannot be asked whether something of it is alive");
}

struct reload *
reload_new(struct core *core, const char *path, reload_fn fn, void *arg)
{
	struct reload *r = memory_new(sizeof(*r));

	r->core = core;
	r->path = path;
	r->fn = fn;
	r->arg = arg;
	return r;
}

void
reload_free(struct reload *r)
{
	if (r == NULL)
		return;
	r->again = false;
	channels_free(r->channels);
	door_keys_free(&r->keys);
	config_release(r->fresh);
	free(r);
}

void
reload_begin(struct reload *r)
{
	if (r->fresh != NULL)
		r->again = true;
	else
		reload_start(r);
}
