/* visitbilld: start, reload, drain. Everything else is in the layers below; this file only puts them together and minds the signals. */
#include <errno.h>
#include <event2/event.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef HAVE_SYSTEMD
#include <systemd/sd-daemon.h>
#endif

#include "api/api.h"
#include "base/clock.h"
#include "base/config_setup.h"
#include "base/log.h"
#include "base/memory.h"
#include "core/booking.h"
#include "core/captures.h"
#include "core/channels.h"
#include "core/watch.h"
#include "feed/server.h"
#include "jobs/jobs.h"

struct daemon {
	struct core core;
	const struct config *config;
	const char *config_path;
	struct api *api;
	struct feed_server *feeds;
	struct jobs *jobs;
	struct event *term, *intr, *hup, *drain_poll, *watchdog;
	bool setting_up, setup_wanted, announced;
	int64_t started, drain_deadline;
};

static void daemon_setup(struct daemon *d);

static void
notify_manager(const char *state)
{
#ifdef HAVE_SYSTEMD
	sd_notify(0, state);
#else
	(void)state;
#endif
}

/* ------- feeds and facilities into the database */

static void
on_setup(void *arg, const struct pg_outcome *outcome, const PGresult *result)
{
	struct daemon *d = arg;

	d->setting_up = false;
	if (outcome->verdict != PG_DONE) {
		log_error("setup", "sqlstate=%s why=\"%s\"", outcome->sqlstate, outcome->message);
		d->setup_wanted = true;		/* when a connection is ready again */
		return;
	}
	if (directory_apply(d->core.directory, d->config, PQgetvalue(result, 0, 0)) != 0) {
		log_error("setup", "why=\"the database does not know the feeds of the configuration\"");
		return;
	}
	d->core.configured = true;
	if (!d->announced) {
		log_info("ready", "http=%s mllp=%s mllp2=%s ms=%lld", api_address(d->api),
		    feed_server_address(d->feeds, 1) != NULL ? feed_server_address(d->feeds, 1) : "none",
		    feed_server_address(d->feeds, 2) != NULL ? feed_server_address(d->feeds, 2) : "none", (long long)(clock_monotonic() - d->started) / 1000);
		notify_manager("READY=1");
		d->announced = true;
	}
	if (d->setup_wanted)
		daemon_setup(d);
}

static void
daemon_setup(struct daemon *d)
{
	char *json;

	if (d->setting_up) {
		d->setup_wanted = true;
		return;
	}
	json = config_setup_json(d->config);
	struct pg_param params[] = {{view_of(json), false}};
	d->setting_up = pool_call(d->core.pool, SQL_SETUP_APPLY, params, 1, on_setup, d) == 0;
	d->setup_wanted = !d->setting_up;
	free(json);
}

static void
on_pool_ready(void *arg)
{
	struct daemon *d = arg;

	if (!d->core.configured || d->setup_wanted)
		daemon_setup(d);
}

/* ------- signals */

static void
on_hup(evutil_socket_t fd, short events, void *arg)
{
	struct daemon *d = arg;
	char error[512], fixed[512];
	struct config *fresh = config_load(d->config_path, error, sizeof(error));
	struct channels *channels;

	(void)fd, (void)events;
	if (fresh == NULL || (channels = channels_new(&d->core, fresh, error, sizeof(error))) == NULL) {
		log_error("reload", "kept=old why=\"%s\"", error);
		config_release(fresh);
		return;
	}
	config_fixed_differences(d->config, fresh, fixed, sizeof(fixed));
	if (fixed[0] != '\0')
		log_warn("reload", "need_restart=\"%s\"", fixed);
	log_set_level(fresh->log.level);
	channels_free(d->core.channels);
	d->core.channels = channels;
	config_release(d->config);
	d->config = fresh;
	d->core.config = fresh;
	log_info("reload", "facilities=%zu feeds=%zu tokens=%zu merchants=%zu", fresh->n_facilities, fresh->n_feeds, fresh->n_tokens, fresh->n_merchants);
	daemon_setup(d);
}

static void
on_drain_poll(evutil_socket_t fd, short events, void *arg)
{
	struct daemon *d = arg;
	bool late = clock_monotonic() > d->drain_deadline;
	size_t work = booking_weight(d->core.booking) + captures_in_work(d->core.captures) + pool_depth(d->core.pool) + feed_server_in_work(d->feeds) + api_in_work(d->api)
	    + feed_server_connections(d->feeds) + api_connections(d->api);

	(void)fd, (void)events;
	if (work == 0 && jobs_flush_marks(d->jobs))
		work = 1;
	if (work > 0 && !late)
		return;
	log_info("drained", "left=%zu", work);
	event_base_loopbreak(d->core.base);
}

/* The first one stops listening, answers what is in work and ends by a deadline; the second one ends at once. */
static void
on_term(evutil_socket_t fd, short events, void *arg)
{
	struct daemon *d = arg;
	struct timeval often = {0, 20000};

	(void)fd, (void)events;
	if (d->core.draining) {
		log_warn("exit", "why=\"second signal\"");
		event_base_loopbreak(d->core.base);
		return;
	}
	log_info("draining", "in_work=%zu", booking_weight(d->core.booking));
	notify_manager("STOPPING=1");
	d->core.draining = true;
	d->drain_deadline = clock_monotonic() + d->config->jobs.drain_ms * 1000;
	jobs_stop(d->jobs);
	feed_server_drain(d->feeds);
	api_drain(d->api);
	event_add(d->drain_poll, &often);
}

static void
on_watchdog(evutil_socket_t fd, short events, void *arg)
{
	(void)fd, (void)events, (void)arg;
	notify_manager("WATCHDOG=1");
}

/* ------- start and end */

static void
daemon_start(struct daemon *d)
{
	const struct config *c = d->config;
	struct core *core = &d->core;
	struct pg_config pg = {c->database.conninfo, c->database.schema, (int)c->hospital.utc_offset};
	struct timeval watchdog = {5, 0};
	char error[512];

	core->base = event_base_new();
	if (core->base == NULL)
		fatal("no event loop");
	core->config = c;
	core->metrics = metrics_new();
	core->directory = directory_new(core->metrics);
	core->http = http_client_new(core->base);
	core->channels = channels_new(core, c, error, sizeof(error));
	if (core->http == NULL || core->channels == NULL)
		fatal("%s", core->http == NULL ? "no HTTP client" : error);
	core->pool = pool_new(core->base, &pg, (unsigned)c->database.pool, on_pool_ready, d);
	core->booking = booking_new(core);
	core->captures = captures_new(core);
	core->watch = watch_new(core);
	d->feeds = feed_server_new(core);
	d->api = d->feeds != NULL ? api_new(core) : NULL;
	if (d->api == NULL)
		fatal("cannot listen");
	d->jobs = jobs_new(core);
	d->term = evsignal_new(core->base, SIGTERM, on_term, d);
	d->intr = evsignal_new(core->base, SIGINT, on_term, d);
	d->hup = evsignal_new(core->base, SIGHUP, on_hup, d);
	d->drain_poll = event_new(core->base, -1, EV_PERSIST, on_drain_poll, d);
	d->watchdog = event_new(core->base, -1, EV_PERSIST, on_watchdog, d);
	event_add(d->term, NULL);
	event_add(d->intr, NULL);
	event_add(d->hup, NULL);
	event_add(d->watchdog, &watchdog);
}

static void
daemon_end(struct daemon *d)
{
	struct core *core = &d->core;

	jobs_free(d->jobs);
	http_client_free(core->http);
	pool_free(core->pool);
	booking_free(core->booking);
	captures_free(core->captures);
	watch_free(core->watch);
	api_free(d->api);
	feed_server_free(d->feeds);
	channels_free(core->channels);
	directory_free(core->directory);
	metrics_free(core->metrics);
	event_free(d->term);
	event_free(d->intr);
	event_free(d->hup);
	event_free(d->drain_poll);
	event_free(d->watchdog);
	event_base_free(core->base);
	config_release(d->config);
}

static int
usage(int status)
{
	fprintf(status == 0 ? stdout : stderr,
	    "usage: visitbilld -c FILE\n"
	    "  -c FILE    the settings (see conf/visitbilld.conf); SIGHUP reads them again\n"
	    "  -s         print every setting with its default and exit\n"
	    "  -h         this text\n"
	    "SIGTERM drains and exits; a second one exits at once.\n");
	return status;
}

int
main(int argc, char **argv)
{
	struct daemon d = {.config_path = "/etc/visitbill/visitbilld.conf", .started = clock_monotonic()};
	char error[512];
	int option;

	while ((option = getopt(argc, argv, "c:sh")) != -1)
		switch (option) {
		case 'c':
			d.config_path = optarg;
			break;
		case 's':
			config_print_sample(stdout);
			return 0;
		case 'h':
			return usage(0);
		default:
			return usage(2);
		}
	if (optind != argc)
		return usage(2);
	signal(SIGPIPE, SIG_IGN);
	d.config = config_load(d.config_path, error, sizeof(error));
	if (d.config == NULL)
		fatal("%s", error);
	log_set_level(d.config->log.level);
	log_info("starting", "config=%s", d.config_path);
	daemon_start(&d);
	event_base_dispatch(d.core.base);
	daemon_end(&d);
	log_info("stopped", "why=\"asked to\"");
	return 0;
}
