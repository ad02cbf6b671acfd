/* The load generator. Its task is to send charge messages (or bill reads) as feeds do, to verify every answer, and to say in one line of JSON what it
 * saw. It must not be the bottleneck: messages are rendered from templates, one thread serves all connections on one epoll (a second one on demand),
 * and its own ceiling is measured against vbsink. It starts nothing and knows no database. */
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "catalogue.h"
#include "engine.h"
#include "idle.h"
#include "template.h"

enum mode { MODE_MLLP_PIPELINE, MODE_MLLP_WAIT, MODE_HTTP, MODE_HTTP_GET, MODE_OPEN_LOOP, MODE_IDLE, MODE_ITEMS, MODES };
static const char *const mode_names[MODES] = {"mllp-pipeline", "mllp-wait", "http", "http-get", "open-loop", "idle", "items"};

enum { THREADS_MAX = 2 };

struct settings {
	enum mode mode;
	const char *mllp, *http, *token, *tag, *visit_prefix, *facility, *application, *bill_prefix, *tls_ca;
	SSL_CTX *tls;
	int64_t connections, window, lines, seconds, warm_ms, count, rate, visits, first_visit, bills, threads, feeds, seed;
};

struct worker {
	const struct settings *s;
	struct templates *templates;
	struct engine_options engine;
	struct engine_result result;
	uint64_t random;
	char tag_dash[TAG_WIDTH + 2], booked[40];
	pthread_t thread;
};

/* ------- what a request is */

static void
render_charges(void *ctx, struct buffer *out, uint64_t serial)
{
	struct worker *w = ctx;
	uint64_t visit = (uint64_t)w->s->first_visit + next_random(&w->random) % (uint64_t)w->s->visits;

	templates_render(w->templates, out, serial, visit);
}

static enum reply_result
judge_mllp(void *ctx, const char *p, size_t n, uint64_t serial, size_t *used)
{
	struct worker *w = ctx;
	char id[CONTROL_WIDTH];

	memcpy(id, w->tag_dash, TAG_WIDTH + 1);
	put_digits(id + TAG_WIDTH + 1, serial, SERIAL_WIDTH);
	return reply_mllp(p, n, id, sizeof(id), used);
}

static enum reply_result
judge_charges(void *ctx, const char *p, size_t n, uint64_t serial, size_t *used)
{
	struct worker *w = ctx;

	(void)serial;
	return reply_http_judge(p, n, w->booked, used);
}

static uint64_t
bill_of(const struct worker *w, uint64_t serial)
{
	uint64_t state = serial;

	return next_random(&state) % (uint64_t)w->s->bills + 1;
}

static void
render_get(void *ctx, struct buffer *out, uint64_t serial)
{
	struct worker *w = ctx;
	int n = snprintf(buffer_room(out, 512), 512, "GET /v1/bills/%s%llu?lines=all HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\n\r\n",
	    w->s->bill_prefix, (unsigned long long)bill_of(w, serial), w->s->http, w->s->token);

	out->used += (size_t)n;
}

static enum reply_result
judge_get(void *ctx, const char *p, size_t n, uint64_t serial, size_t *used)
{
	struct worker *w = ctx;
	char want[100];

	snprintf(want, sizeof(want), "%s%llu\"", w->s->bill_prefix, (unsigned long long)bill_of(w, serial));
	return reply_http_judge(p, n, want, used);
}

/* ------- workers */

static void
worker_prepare(struct worker *w, const struct settings *s, unsigned index, int64_t start)
{
	bool http = s->mode == MODE_HTTP, get = s->mode == MODE_HTTP_GET;
	unsigned threads = (unsigned)s->threads, lines = (unsigned)s->lines;
	struct template_options t = {http ? TEMPLATE_HTTP : TEMPLATE_MLLP, lines, s->tag, s->visit_prefix, s->facility, s->application, s->http, s->token,
	    (unsigned)s->feeds};

	w->s = s;
	w->templates = templates_new(&t);
	w->random = (uint64_t)s->seed + index;
	snprintf(w->tag_dash, sizeof(w->tag_dash), "%s-", s->tag);
	snprintf(w->booked, sizeof(w->booked), "\"booked\":%u,\"duplicate\":0,", lines);
	w->engine = (struct engine_options){
		.address = http || get ? s->http : s->mllp,
		.tls = s->tls,
		.connections = (unsigned)s->connections / threads + (index < (unsigned)s->connections % threads ? 1 : 0),
		.window = (unsigned)s->window,
		.rate = s->mode == MODE_OPEN_LOOP ? (double)s->rate / (double)lines / threads : 0,
		.serial = index, .stride = threads,
		.start_ns = start, .warm_ns = s->warm_ms * 1000000, .measure_ns = s->seconds * 1000000000,
		.count = (uint64_t)s->count / threads,
		.render = get ? render_get : render_charges,
		.judge = get ? judge_get : http ? judge_charges : judge_mllp,
		.ctx = w,
	};
}

static void *
worker_run(void *arg)
{
	struct worker *w = arg;

	engine_run(&w->engine, &w->result);
	return NULL;
}

static void
print_text(const char *text)
{
	for (; *text != '\0'; text++) {
		unsigned char c = (unsigned char)*text;
		if (c == '"' || c == '\\')
			printf("\\%c", c);
		else if (c < 0x20)
			printf("\\u%04x", c);
		else
			putchar(c);
	}
}

static int
report(const struct settings *s, struct worker *workers, int64_t start)
{
	struct engine_result *r = &workers[0].result;
	static const double shares[] = {0.5, 0.9, 0.99, 0.999};
	static const char *const names[] = {"p50", "p90", "p99", "p999"};
	uint64_t lines = s->mode == MODE_HTTP_GET ? 1 : (uint64_t)s->lines;

	for (int64_t i = 1; i < s->threads; i++) {
		struct engine_result *other = &workers[i].result;
		r->sent += other->sent;
		r->good += other->good;
		r->bad += other->bad;
		r->lost += other->lost;
		r->measured += other->measured;
		histogram_merge(&r->latency, &other->latency);
		if (r->complaint[0] == '\0')
			memcpy(r->complaint, other->complaint, sizeof(r->complaint));
	}
	double seconds = (double)(r->to_ns - r->from_ns) / 1e9;
	printf("{\"mode\":\"%s\",\"seconds\":%.3f,\"requests\":%llu,\"lines\":%llu,\"requests_per_s\":%.1f,\"lines_per_s\":%.1f,", mode_names[s->mode], seconds,
	    (unsigned long long)r->measured, (unsigned long long)(r->measured * lines), (double)r->measured / seconds,
	    (double)(r->measured * lines) / seconds);
	printf("\"sent_lines\":%llu,\"good_lines\":%llu,\"failures\":%llu,\"bytes_per_request\":%zu,\"latency_us\":{", (unsigned long long)(r->sent * lines),
	    (unsigned long long)(r->good * lines), (unsigned long long)(r->bad + r->lost), templates_bytes(workers[0].templates));
	for (int i = 0; i < 4; i++)
		printf("\"%s\":%.1f,", names[i], (double)histogram_quantile(&r->latency, shares[i]) / 1e3);
	printf("\"mean\":%.1f,\"max\":%.1f},\"cpu_s\":%.3f,\"wall_s\":%.3f", r->latency.n > 0 ? r->latency.sum / (double)r->latency.n / 1e3 : 0,
	    (double)r->latency.max / 1e3, cpu_seconds(), (double)(now_ns() - start) / 1e9);
	if (r->complaint[0] != '\0') {
		printf(",\"complaint\":\"");
		print_text(r->complaint);
		putchar('"');
	}
	puts("}");
	return r->bad + r->lost > 0 ? 1 : 0;
}

static int
run_load(const struct settings *s)
{
	struct worker *workers = need((size_t)s->threads * sizeof(*workers));
	int64_t start = now_ns() + 5000000;
	int status;

	for (unsigned i = 0; i < (unsigned)s->threads; i++)
		worker_prepare(&workers[i], s, i, start);
	for (int64_t i = 1; i < s->threads; i++)
		if (pthread_create(&workers[i].thread, NULL, worker_run, &workers[i]) != 0)
			die("no thread");
	worker_run(&workers[0]);
	for (int64_t i = 1; i < s->threads; i++)
		pthread_join(workers[i].thread, NULL);
	status = report(s, workers, start);
	for (int64_t i = 0; i < s->threads; i++)
		templates_free(workers[i].templates);
	free(workers);
	return status;
}

static int
run_idle(const struct settings *s)
{
	struct template_options t = {TEMPLATE_MLLP, (unsigned)s->lines, s->tag, s->visit_prefix, s->facility, s->application, s->http, s->token, 0};
	struct templates *templates = templates_new(&t);
	unsigned failures = idle_hold(s->mllp, s->http, (unsigned)s->connections, templates, (uint64_t)s->visits);

	templates_free(templates);
	return failures > 0 ? 1 : 0;
}

static enum mode
mode_of(const char *name)
{
	for (int m = 0; m < MODES; m++)
		if (name != NULL && strcmp(name, mode_names[m]) == 0)
			return (enum mode)m;
	die("the first argument is one of mllp-pipeline, mllp-wait, http, http-get, open-loop, idle, items");
}

int
main(int argc, char **argv)
{
	char tag[TAG_WIDTH + 1];
	struct settings s = {.mode = mode_of(argc > 1 ? argv[1] : NULL), .token = "", .tag = tag, .visit_prefix = "BV", .facility = "H01", .application = "CLINIC",
	    .bill_prefix = "bench-", .connections = 8, .lines = 5, .seconds = 5, .warm_ms = 1000, .rate = 1000, .visits = 2000, .bills = 1000, .threads = 1};

	s.seed = now_ns() ^ ((int64_t)getpid() << 40);
	uint64_t state = (uint64_t)s.seed;
	put_digits(tag, next_random(&state) % 1000000, TAG_WIDTH);
	tag[TAG_WIDTH] = '\0';
	s.window = s.mode == MODE_MLLP_PIPELINE ? 64 : 1;
	const struct option_row rows[] = {
		{"mllp", "HOST:PORT of the daemon's MLLP", &s.mllp, NULL, NULL},
		{"http", "HOST:PORT of its HTTP", &s.http, NULL, NULL},
		{"token", "bearer token", &s.token, NULL, NULL},
		{"tls-ca", "file, PEM: speak TLS 1.3 to a server that this authority vouches for", &s.tls_ca, NULL, NULL},
		{"connections", "connections (8)", NULL, &s.connections, NULL},
		{"window", "requests in flight on each (64; 1 where it waits)", NULL, &s.window, NULL},
		{"lines", "charge lines in a request (5)", NULL, &s.lines, NULL},
		{"seconds", "measured time (5)", NULL, &s.seconds, NULL},
		{"warm-ms", "time before it (1000)", NULL, &s.warm_ms, NULL},
		{"count", "requests, instead of a time", NULL, &s.count, NULL},
		{"rate", "open loop: lines a second (1000)", NULL, &s.rate, NULL},
		{"visits", "visits to spread the lines over (2000)", NULL, &s.visits, NULL},
		{"first-visit", "number of the first of them (0)", NULL, &s.first_visit, NULL},
		{"visit-prefix", "a visit is this and seven digits (BV)", &s.visit_prefix, NULL, NULL},
		{"facility", "MSH-4 (H01)", &s.facility, NULL, NULL},
		{"application", "MSH-3 (CLINIC)", &s.application, NULL, NULL},
		{"feeds", "senders: MSH-3 followed by 001 to this", NULL, &s.feeds, NULL},
		{"bills", "bills to read", NULL, &s.bills, NULL},
		{"bill-prefix", "a bill is this and a number from 1 (bench-)", &s.bill_prefix, NULL, NULL},
		{"threads", "1 or 2 (1)", NULL, &s.threads, NULL},
		{"tag", "six characters that make ids unique", &s.tag, NULL, NULL},
	};
	options_read("vbload MODE [options]", rows, sizeof(rows) / sizeof(rows[0]), argc, argv, 2);
	if (s.threads < 1 || s.threads > THREADS_MAX || s.connections < s.threads || s.lines < 1 || s.visits < 1 || s.bills < 1 || s.window < 1 || s.rate < 1)
		die("an option is out of range");
	signal(SIGPIPE, SIG_IGN);
	if (s.mode == MODE_ITEMS) {
		catalogue_print_json();
		return 0;
	}
	if (s.mode == MODE_IDLE)
		return run_idle(&s);
	if ((s.mode == MODE_HTTP || s.mode == MODE_HTTP_GET) ? s.http == NULL : s.mllp == NULL)
		die("--http or --mllp is missing");
	if (s.tls_ca != NULL)
		s.tls = wire_tls_new(s.tls_ca);
	int status = run_load(&s);
	SSL_CTX_free(s.tls);
	return status;
}
