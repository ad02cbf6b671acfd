/* visitbilld: start, reload, drain. Everything else is in the layers below; this file only puts them together and minds the signals. */
#include <errno.h>
#include <event2/event.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#ifdef HAVE_SYSTEMD
#include <systemd/sd-daemon.h>
#endif

#include "access/token_sync.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/turn.h"
#include "intake/booking.h"
#include "core/captures.h"
#include "core/channels.h"
#include "core/gauges.h"
#include "core/health.h"
#include "core/watch.h"
#include "doors.h"
#include "jobs/jobs.h"
#include "reload.h"
#include "setup.h"

struct daemon {
	struct core core;
	const char *config_path;
	struct doors *doors;
	struct api *api;
	struct feed_server *feeds;
	struct jobs *jobs;
	struct reload *reload;
	struct setup *setup;
	struct event *term, *intr, *hup, *drain_poll, *watchdog, *patience, *almost_ready;
	bool announced, ending;
	int64_t started, drain_deadline;
};

static void
notify_manager(const char *state)
{
#ifdef HAVE_SYSTEMD
	sd_notify(0, state);
#else
	(void)state;
#endif
}

/* ------- the beginning of service */

/* Everyone is let in, once the lanes are connected, too, and the tokens are known: a job asks for them again where the first time failed. */
static void
on_almost_ready(evutil_socket_t fd, short events, void *arg)
{
	struct daemon *d = arg;
	struct timeval soon = {0, 10000};

	(void)fd, (void)events;
	if (!booking_is_available(d->core.booking) || !health_is_good(d->core.health) || !tokens_are_known(d->core.tokens)) {
		event_add(d->almost_ready, &soon);
		return;
	}
	memory_give_back();		/* settings and connections have taken more than they keep */
	doors_begin(d->doors, false);
	log_info("ready", "%s ms=%lld", doors_text(d->doors), (long long)(clock_monotonic() - d->started) / 1000);
	notify_manager("READY=1");
	reload_report_orphans(d->reload);
}

static void
on_first_tokens(void *arg, bool more)
{
	struct daemon *d = arg;

	(void)more;
	event_active(d->almost_ready, EV_TIMEOUT, 0);
}

/* Without a database peers are told so, and do not wait for ever. */
static void
on_patience(evutil_socket_t fd, short events, void *arg)
{
	struct daemon *d = arg;

	(void)fd, (void)events;
	doors_begin(d->doors, false);
}

static void
on_setup(void *arg)
{
	struct daemon *d = arg;

	if (d->announced)
		return;
	d->announced = true;
	health_begin(d->core.health);
	tokens_refresh(d->core.tokens, d->core.pool, on_first_tokens, d);
}

static void
on_pool_ready(void *arg)
{
	struct daemon *d = arg;

	if (!d->core.configured)
		setup_apply(d->setup);
}

/* ------- signals */

/* The new snapshot replaces the old one; who began with that still holds it. */
static void
on_reloaded(void *arg, const struct config *fresh, struct channels *channels, const struct door_keys *keys)
{
	struct daemon *d = arg;
	struct core *core = &d->core;

	log_set_level(fresh->log.level);
	channels_free(core->channels);
	core->channels = channels;
	config_release(core->config);
	core->config = config_hold(fresh);
	core->budget.limit = (size_t)fresh->limits.memory_bytes;
	core->budget.strangers_limit = (size_t)fresh->limits.strangers_bytes;
	peers_set_repeat(core->peers, fresh->log.repeat_ms * 1000);
	doors_update(d->doors, fresh, keys);
	feed_server_check_certificates(d->feeds);
	api_check_certificates(d->api);
	setup_apply(d->setup);
}

static void
on_hup(evutil_socket_t fd, short events, void *arg)
{
	struct daemon *d = arg;

	(void)fd, (void)events;
	reload_begin(d->reload);
}

static void
on_drain_poll(evutil_socket_t fd, short events, void *arg)
{
	struct daemon *d = arg;
	bool late = clock_monotonic() > d->drain_deadline;
	size_t work = booking_weight(d->core.booking) + captures_in_work(d->core.captures) + pool_depth(d->core.pool) + feed_server_in_work(d->feeds) + api_in_work(d->api)
	    + feed_server_connections(d->feeds) + api_connections(d->api) + !doors_are_closed(d->doors);

	(void)fd, (void)events;
	if (!d->ending && doors_are_closed(d->doors)) {	/* what was in the kernel's queue is in, too: now nothing new is begun */
		d->ending = true;
		jobs_stop(d->jobs);
		feed_server_drain(d->feeds);
		api_drain(d->api);
		return;
	}
	if (work == 0 && jobs_flush(d->jobs))
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
	d->drain_deadline = clock_monotonic() + d->core.config->jobs.drain_ms * 1000;
	doors_drain(d->doors);
	event_add(d->drain_poll, &often);
}

static void
on_watchdog(evutil_socket_t fd, short events, void *arg)
{
	(void)fd, (void)events, (void)arg;
	notify_manager("WATCHDOG=1");
}

/* ------- start and end */

/* Which servers there are, and how every connection to them behaves. Where several are named, each is looked at before anything is booked. */
static void
database_start(struct core *core)
{
	const struct config *c = core->config;
	char error[1024];

	core->servers = servers_new(c->database.conninfo, error, sizeof(error));
	if (core->servers == NULL)
		fatal("[database] %s", error);
	int found = servers_survey(core->servers, "visitbilld", c->database.connect_ms, error, sizeof(error));
	if (found < 0)
		fatal("[database] %s", error);
	if (found > 0)
		log_warn("db.survey", "why=\"%s\"", error);
	core->database = (struct pg_config){
		.servers = core->servers, .schema = c->database.schema, .utc_offset = (int)c->hospital.utc_offset, .turn = core->shared.turn,
		.answer_ms = c->database.answer_ms, .connect_ms = c->database.connect_ms, .lock_ms = c->database.answer_ms * 2 / 5,
	};
}

/* What everything above the loop stands on. */
static void
core_start(struct daemon *d)
{
	struct core *core = &d->core;
	const struct config *c = core->config;
	char error[512];

	core->base = turn_base_new();
	if (core->base == NULL)
		fatal("no event loop");
	core->metrics = metrics_new();
	core->budget = (struct budget){.limit = (size_t)c->limits.memory_bytes, .strangers_limit = (size_t)c->limits.strangers_bytes};
	core->shared = (struct conn_shared){core->base, &core->budget, turn_new(core->base, core->metrics)};
	database_start(core);
	core->peers = peers_new(core->base, c->log.repeat_ms * 1000);
	core->directory = directory_new(core->metrics);
	core->tokens = tokens_new();
	core->http = http_client_new(core->base);
	core->channels = channels_new(core, c, error, sizeof(error));
	if (core->http == NULL || core->channels == NULL)
		fatal("%s", core->http == NULL ? "no HTTP client" : error);
	core->pool = pool_new(core->base, &core->database, "pool", (unsigned)c->database.pool, on_pool_ready, d);
	core->ops_pool = pool_new(core->base, &core->database, "ops", 2, NULL, NULL);
	core->booking = booking_new(core);
	core->captures = captures_new(core);
	core->gauges = gauges_new(core);
	core->health = health_new(core);
	core->watch = watch_new(core);
}

static struct event *
signal_event(struct daemon *d, int number, event_callback_fn fn)
{
	struct event *e = evsignal_new(d->core.base, number, fn, d);

	event_add(e, NULL);
	return e;
}

static void
daemon_start(struct daemon *d)
{
	struct core *core = &d->core;
	int64_t hold = core->config->database.hold_ms;
	struct timeval watchdog = {5, 0}, patience = {hold / 1000, hold % 1000 * 1000};
	struct door_keys keys;
	char error[512];

	config_log_plain_secrets(core->config);
	core_start(d);
	d->setup = setup_new(core, on_setup, d);
	if (door_keys_load(core->config, &keys, error, sizeof(error)) != 0)
		fatal("%s", error);
	d->feeds = feed_server_new(core);
	d->api = api_new(core);
	d->doors = doors_open(core, d->api, d->feeds, &keys);
	door_keys_free(&keys);
	if (d->doors == NULL)
		fatal("cannot listen");
	d->jobs = jobs_new(core);
	d->reload = reload_new(core, d->config_path, on_reloaded, d);
	d->term = signal_event(d, SIGTERM, on_term);
	d->intr = signal_event(d, SIGINT, on_term);
	d->hup = signal_event(d, SIGHUP, on_hup);
	d->drain_poll = event_new(core->base, -1, EV_PERSIST, on_drain_poll, d);
	d->watchdog = event_new(core->base, -1, EV_PERSIST, on_watchdog, d);
	event_add(d->watchdog, &watchdog);
	/* another daemon may listen at the same addresses: what comes to this one waits in the kernel until it can be answered as there */
	doors_begin(d->doors, true);
	d->patience = evtimer_new(core->base, on_patience, d);
	event_add(d->patience, &patience);
	d->almost_ready = evtimer_new(core->base, on_almost_ready, d);
}

static void
daemon_end(struct daemon *d)
{
	struct core *core = &d->core;

	jobs_free(d->jobs);
	http_client_free(core->http);
	pool_free(core->pool);
	pool_free(core->ops_pool);
	reload_free(d->reload);
	setup_free(d->setup);
	booking_free(core->booking);
	captures_free(core->captures);
	gauges_free(core->gauges);
	health_free(core->health);
	watch_free(core->watch);
	servers_free(core->servers);
	doors_free(d->doors);
	api_free(d->api);
	feed_server_free(d->feeds);
	channels_free(core->channels);
	tokens_free(core->tokens);
	directory_free(core->directory);
	peers_free(core->peers);
	turn_free(core->shared.turn);
	metrics_free(core->metrics);
	event_free(d->term);
	event_free(d->intr);
	event_free(d->hup);
	event_free(d->drain_poll);
	event_free(d->watchdog);
	event_free(d->patience);
	event_free(d->almost_ready);
	event_base_free(core->base);
	config_release(core->config);
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
	prctl(PR_SET_DUMPABLE, 0);	/* a core dump would hold keys and patients; nor may another process of this user look in */
	d.core.config = config_load(d.config_path, error, sizeof(error));
	if (d.core.config == NULL)
		fatal("%s", error);
	log_set_level(d.core.config->log.level);
	log_info("starting", "config=%s", d.config_path);
	daemon_start(&d);
	event_base_dispatch(d.core.base);
	daemon_end(&d);
	log_info("stopped", "why=\"asked to\"");
	return 0;
}
