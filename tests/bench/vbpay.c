/* The payers. The task is the full life of payments at full speed: each payer creates an attempt for a bill of its own over HTTP, sees the QR code, pays at the
 * channel (vbchannel's control port), waits until the channel says that the daemon accepted its notification, reads the payment (succeeded, with a receipt)
 * and the receipt, and goes on with the next bill. Every step is verified. One line of JSON at the end. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common.h"
#include "histogram.h"
#include "reply.h"

enum { READ_BYTES = 65536, EVENTS = 256, ID_MAX = 80 };

enum step { STEP_CREATE, STEP_PAY, STEP_PAYMENT, STEP_RECEIPT, STEP_IDLE, STEPS };

struct payer {
	int fd;
	enum step step;
	struct buffer in;
	int64_t started, entered;
	char number[ID_MAX];		/* of the order, as its QR code says it */
	char payment[ID_MAX];
};

struct pay {
	const char *http, *control, *token, *amount, *bill_prefix, *tag;
	int64_t payers, seconds, warm_ms, bills;
	struct payer *all;
	int epoll, control_fd;
	struct buffer control_in;
	int64_t from, to;
	uint64_t next_bill, done, all_done, failures;
	unsigned busy;
	struct histogram latency, steps[STEP_IDLE];
	char complaint[300];
};

static void
complain(struct pay *p, struct payer *k, const char *what, const char *text, size_t n)
{
	p->failures++;
	if (p->complaint[0] == '\0')
		snprintf(p->complaint, sizeof(p->complaint), "step %d, %s: %.*s", (int)k->step, what, (int)(n < 200 ? n : 200), text);
}

static void
send_all(int fd, const char *text, size_t n)
{
	if (send(fd, text, n, MSG_NOSIGNAL) != (ssize_t)n)	/* small, and the peer reads */
		die("send: %s", strerror(errno));
}

static void
enter(struct pay *p, struct payer *k, enum step step)
{
	int64_t now = now_ns();

	if (k->step != STEP_IDLE && now >= p->from && now < p->to)
		histogram_add(&p->steps[k->step], now - k->entered);
	k->step = step;
	k->entered = now;
}

static void
payer_create(struct pay *p, struct payer *k)
{
	char request[700], body[100];

	if (p->next_bill >= (uint64_t)p->bills || now_ns() >= p->to) {
		if (k->step != STEP_IDLE) {
			enter(p, k, STEP_IDLE);
			p->busy--;
		}
		return;
	}
	if (k->step == STEP_IDLE)
		p->busy++;
	uint64_t bill = ++p->next_bill;
	enter(p, k, STEP_CREATE);
	k->started = k->entered;
	int size = snprintf(body, sizeof(body), "{\"channel\":\"wechatpay\",\"amount\":\"%s\"}", p->amount);
	int n = snprintf(request, sizeof(request), "POST /v1/bills/%s%llu/payments HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\n"
	    "Content-Type: application/json\r\nIdempotency-Key: %s-%llu\r\nContent-Length: %d\r\n\r\n%s", p->bill_prefix, (unsigned long long)bill, p->http,
	    p->token, p->tag, (unsigned long long)bill, size, body);
	send_all(k->fd, request, (size_t)n);
}

static void
payer_get(struct pay *p, struct payer *k, const char *what, const char *id)
{
	char request[500];
	int n = snprintf(request, sizeof(request), "GET /v1/%s/%s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\n\r\n", what, id, p->http, p->token);

	send_all(k->fd, request, (size_t)n);
}

static void
payer_created(struct pay *p, struct payer *k, const struct http_reply *r)
{
	char code[200], line[ID_MAX + 8];
	char *pr;

	if (r->status != 201 || !json_find(r->body, r->body_n, "payment", k->payment, sizeof(k->payment))
	    || !json_find(r->body, r->body_n, "code_url", code, sizeof(code)) || (pr = strstr(code, "pr=")) == NULL || strlen(pr + 3) >= ID_MAX) {
		complain(p, k, "not created", r->body, r->body_n);
		payer_create(p, k);
		return;
	}
	snprintf(k->number, sizeof(k->number), "%.*s", ID_MAX - 1, pr + 3);
	enter(p, k, STEP_PAY);
	int n = snprintf(line, sizeof(line), "pay %s\n", k->number);
	send_all(p->control_fd, line, (size_t)n);
}

static void
payer_reply(struct pay *p, struct payer *k, const struct http_reply *r)
{
	char state[20] = "", receipt[ID_MAX] = "", amount[24] = "";

	switch (k->step) {
	case STEP_CREATE:
		payer_created(p, k, r);
		return;
	case STEP_PAYMENT:
		if (r->status == 200 && json_find(r->body, r->body_n, "state", state, sizeof(state)) && strcmp(state, "succeeded") == 0
		    && json_find(r->body, r->body_n, "receipt", receipt, sizeof(receipt))) {
			enter(p, k, STEP_RECEIPT);
			payer_get(p, k, "receipts", receipt);
			return;
		}
		complain(p, k, "not succeeded", r->body, r->body_n);
		break;
	case STEP_RECEIPT:
		if (r->status == 200 && json_find(r->body, r->body_n, "amount", amount, sizeof(amount)) && memmem(r->body, r->body_n, p->amount, strlen(p->amount)) != NULL) {
			int64_t now = now_ns();
			p->all_done++;
			if (now >= p->from && now < p->to) {
				p->done++;
				histogram_add(&p->latency, now - k->started);
			}
		} else {
			complain(p, k, "no receipt", r->body, r->body_n);
		}
		break;
	default:
		complain(p, k, "an answer to nothing", r->body, r->body_n);
	}
	payer_create(p, k);
}

static void
payer_read(struct pay *p, struct payer *k)
{
	for (;;) {
		struct http_reply r;
		ssize_t n = recv(k->fd, buffer_room(&k->in, READ_BYTES), READ_BYTES, 0);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0)
			die("the daemon closed a connection");
		k->in.used += (size_t)n;
		while (k->in.done < k->in.used) {
			enum reply_result result = reply_http(k->in.p + k->in.done, k->in.used - k->in.done, &r);
			if (result == REPLY_MORE)
				break;
			if (result == REPLY_BAD)
				die("not an HTTP reply: %.100s", k->in.p + k->in.done);
			buffer_consume(&k->in, r.used);
			payer_reply(p, k, &r);
		}
	}
}

static void
control_line(struct pay *p, const char *line, size_t n)
{
	for (int64_t i = 0; i < p->payers; i++) {
		struct payer *k = &p->all[i];
		if (k->step != STEP_PAY || strlen(k->number) != n - 5 || memcmp(k->number, line + 5, n - 5) != 0)
			continue;
		if (memcmp(line, "done ", 5) == 0) {
			enter(p, k, STEP_PAYMENT);
			payer_get(p, k, "payments", k->payment);
		} else {
			complain(p, k, "notification", line, n);
			payer_create(p, k);
		}
		return;
	}
}

static void
control_read(struct pay *p)
{
	struct buffer *in = &p->control_in;
	ssize_t n;

	while ((n = recv(p->control_fd, buffer_room(in, READ_BYTES), READ_BYTES, 0)) > 0) {
		in->used += (size_t)n;
		const char *end;
		while (in->done < in->used && (end = memchr(in->p + in->done, '\n', in->used - in->done)) != NULL) {
			const char *line = in->p + in->done;
			buffer_consume(in, (size_t)(end + 1 - line));
			if (end - line > 5)
				control_line(p, line, (size_t)(end - line));
		}
	}
	if (n == 0)
		die("the channel closed its line");
}

static void
pay_run(struct pay *p)
{
	struct epoll_event events[EVENTS], ev = {.events = EPOLLIN};
	int64_t end;

	p->epoll = epoll_create1(EPOLL_CLOEXEC);
	p->control_fd = connect_to(p->control);
	epoll_ctl(p->epoll, EPOLL_CTL_ADD, p->control_fd, &ev);
	p->all = need((size_t)p->payers * sizeof(*p->all));
	p->from = now_ns() + p->warm_ms * 1000000;
	p->to = p->from + p->seconds * 1000000000;
	end = p->to + INT64_C(15000000000);
	for (int64_t i = 0; i < p->payers; i++) {
		p->all[i].fd = connect_to(p->http);
		p->all[i].step = STEP_IDLE;
		ev.data.ptr = &p->all[i];
		epoll_ctl(p->epoll, EPOLL_CTL_ADD, p->all[i].fd, &ev);
		payer_create(p, &p->all[i]);
	}
	while (p->busy > 0 && now_ns() < end) {
		int n = epoll_wait(p->epoll, events, EVENTS, 100);
		for (int i = 0; i < n; i++) {
			if (events[i].data.ptr == NULL)
				control_read(p);
			else
				payer_read(p, events[i].data.ptr);
		}
	}
	p->failures += p->busy;
	if (p->next_bill >= (uint64_t)p->bills && now_ns() < p->to)
		p->to = now_ns();	/* out of bills: it is measured to here */
}

static void
report(const struct pay *p)
{
	static const char *const names[] = {"create", "channel", "payment", "receipt"};
	double seconds = (double)(p->to - p->from) / 1e9;

	printf("{\"mode\":\"payments\",\"seconds\":%.3f,\"payments_per_s\":%.1f,\"done\":%llu,\"all_done\":%llu,\"failures\":%llu,\"latency_us\":{\"p50\":%.1f,"
	    "\"p99\":%.1f,\"max\":%.1f},\"steps_p50_us\":{", seconds, (double)p->done / seconds, (unsigned long long)p->done, (unsigned long long)p->all_done,
	    (unsigned long long)p->failures, (double)histogram_quantile(&p->latency, 0.5) / 1e3, (double)histogram_quantile(&p->latency, 0.99) / 1e3,
	    (double)p->latency.max / 1e3);
	for (int i = 0; i < STEP_IDLE; i++)
		printf("%s\"%s\":%.1f", i > 0 ? "," : "", names[i], (double)histogram_quantile(&p->steps[i], 0.5) / 1e3);
	printf("},\"cpu_s\":%.3f}\n", cpu_seconds());
	if (p->complaint[0] != '\0')
		fprintf(stderr, "vbpay: %s\n", p->complaint);
}

int
main(int argc, char **argv)
{
	static struct pay p = {.token = "", .amount = "25.60", .bill_prefix = "bench-", .payers = 64, .seconds = 5, .warm_ms = 1000, .bills = 1000};
	char tag[24];
	const struct option_row rows[] = {
		{"http", "HOST:PORT of the daemon", &p.http, NULL, NULL},
		{"control", "HOST:PORT of vbchannel's control", &p.control, NULL, NULL},
		{"token", "bearer token of a kiosk", &p.token, NULL, NULL},
		{"payers", "payers at a time (64)", NULL, &p.payers, NULL},
		{"seconds", "measured time (5)", NULL, &p.seconds, NULL},
		{"warm-ms", "time before it (1000)", NULL, &p.warm_ms, NULL},
		{"bills", "bills that there are (1000)", NULL, &p.bills, NULL},
		{"bill-prefix", "a bill is this and a number from 1 (bench-)", &p.bill_prefix, NULL, NULL},
		{"amount", "what each is about (25.60)", &p.amount, NULL, NULL},
	};

	snprintf(tag, sizeof(tag), "%lld", (long long)time(NULL));
	p.tag = tag;
	options_read("vbpay [options]", rows, sizeof(rows) / sizeof(rows[0]), argc, argv, 1);
	if (p.http == NULL || p.control == NULL || p.payers < 1)
		die("--http or --control is missing");
	signal(SIGPIPE, SIG_IGN);
	pay_run(&p);
	report(&p);
	return p.failures > 0 ? 1 : 0;
}
