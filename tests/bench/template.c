/* Sixteen variants differ in the items they begin with. A slot says what to write where; see template.h. */
#include "template.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "catalogue.h"

enum slot_kind { SLOT_SERIAL, SLOT_LINE, SLOT_VISIT, SLOT_TIME, SLOT_ISO_TIME, SLOT_FEED };
enum { VARIANTS = CATALOGUE_ITEMS, ISO_TIME_WIDTH = 19, FEED_WIDTH = 3 };

struct slot {
	enum slot_kind kind;
	size_t at;
	unsigned nth;		/* line of the request */
};

struct variant {
	struct buffer text;
	struct slot *slots;
	size_t n, room;
};

struct templates {
	struct template_options o;
	struct variant variants[VARIANTS];
	int64_t rendered_second;
	char time[TIME_WIDTH + 1], iso_time[ISO_TIME_WIDTH + 1];
};

static void __attribute__((format(printf, 2, 3)))
say(struct variant *v, const char *format, ...)
{
	va_list args;
	char *to = buffer_room(&v->text, 2048);

	va_start(args, format);
	int n = vsnprintf(to, 2048, format, args);
	va_end(args);
	if (n < 0 || n >= 2048)
		die("a piece of a message is too long");
	v->text.used += (size_t)n;
}

static void
slot(struct variant *v, enum slot_kind kind, unsigned nth)
{
	static const unsigned widths[] = {SERIAL_WIDTH, LINE_WIDTH, VISIT_WIDTH, TIME_WIDTH, ISO_TIME_WIDTH, FEED_WIDTH};

	if (v->n == v->room) {
		v->room = v->room * 2 + 16;
		v->slots = realloc(v->slots, v->room * sizeof(*v->slots));
		if (v->slots == NULL)
			die("out of memory");
	}
	v->slots[v->n++] = (struct slot){kind, v->text.used, nth};
	memset(buffer_room(&v->text, widths[kind]), '0', widths[kind]);
	v->text.used += widths[kind];
}

/* ------- HL7 */

static void
hl7_head(struct variant *v, const struct template_options *o)
{
	say(v, "\x0bMSH|^~\\&|%s", o->application);
	if (o->feeds > 0)
		slot(v, SLOT_FEED, 0);
	say(v, "|%s|VISITBILL|BILLING|", o->facility);
	slot(v, SLOT_TIME, 0);
	say(v, "+0800||DFT^P03^DFT_P03|%s-", o->tag);
	slot(v, SLOT_SERIAL, 0);
	say(v, "|P|2.5.1||||||UNICODE UTF-8\rEVN||");
	slot(v, SLOT_TIME, 0);
	say(v, "+0800\rPID|1||P");
	slot(v, SLOT_VISIT, 0);
	say(v, "^^^%s^PI||王^芳||19630412|F\rPV1|1|I|0502^12^03^%s||||D0231^许^文博||||||||||||%s", o->facility, o->facility, o->visit_prefix);
	slot(v, SLOT_VISIT, 0);
	say(v, "\r");
}

static void
hl7_line(struct variant *v, const struct template_options *o, const struct item *i, unsigned nth)
{
	int64_t amount = i->quantity * i->price;

	say(v, "FT1|%u|%s-", nth + 1, o->tag);
	slot(v, SLOT_LINE, nth);
	say(v, "||");
	slot(v, SLOT_TIME, 0);
	say(v, "||CG|%s^%s^HIS^%s|||%lld|%lld.%02d&CNY|%lld.%02d&CNY|%s^%s|||||||%s^%s^%s|%s^%s^%s||O", i->code, i->name, i->national_code,
	    (long long)i->quantity, (long long)amount / 100, (int)(amount % 100), (long long)i->price / 100, (int)(i->price % 100), i->department_code,
	    i->department, i->performer_code, i->performer_family, i->performer_given, i->orderer_code, i->orderer_family, i->orderer_given);
	slot(v, SLOT_LINE, nth);
	say(v, "||||||||||||||||||%s\r", i->category);
}

/* ------- HTTP and JSON */

static void
json_line(struct variant *v, const struct template_options *o, const struct item *i, unsigned nth)
{
	int64_t amount = i->quantity * i->price;

	say(v, "%s{\"facility\":\"%s\",\"visit_no\":\"%s", nth > 0 ? "," : "", o->facility, o->visit_prefix);
	slot(v, SLOT_VISIT, 0);
	say(v, "\",\"source_line\":\"%s-", o->tag);
	slot(v, SLOT_LINE, nth);
	say(v, "\",\"code\":\"%s\",\"name\":\"%s\",\"national_code\":\"%s\",\"category\":\"%s\",\"quantity\":\"%lld\",\"unit_price\":\"%lld.%02d\","
	    "\"amount\":\"%lld.%02d\",\"currency\":\"CNY\",\"charged_at\":\"", i->code, i->name, i->national_code, i->category, (long long)i->quantity,
	    (long long)i->price / 100, (int)(i->price % 100), (long long)amount / 100, (int)(amount % 100));
	slot(v, SLOT_ISO_TIME, 0);
	say(v, "+08:00\",\"department\":\"%s\",\"performer\":\"%s%s\",\"orderer\":\"%s%s\",\"order_no\":\"O", i->department, i->performer_family,
	    i->performer_given, i->orderer_family, i->orderer_given);
	slot(v, SLOT_LINE, nth);
	say(v, "\"}");
}

/* The body is of known length: written first, then moved behind its head. */
static void
http_head(struct variant *v, const struct template_options *o)
{
	struct buffer body = v->text;
	char head[600];
	int n = snprintf(head, sizeof(head), "POST /v1/charges HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\n"
	    "Content-Length: %zu\r\n\r\n", o->host, o->token, body.used);

	if (n < 0 || (size_t)n >= sizeof(head))
		die("the HTTP header is too long");
	v->text = (struct buffer){0};
	buffer_put(&v->text, head, (size_t)n);
	buffer_put(&v->text, body.p, body.used);
	for (size_t i = 0; i < v->n; i++)
		v->slots[i].at += (size_t)n;
	buffer_free(&body);
}

static void
variant_write(struct variant *v, const struct template_options *o, unsigned number)
{
	bool hl7 = o->kind == TEMPLATE_MLLP;

	if (hl7) {
		hl7_head(v, o);
	} else {
		say(v, "{\"as_of\":\"");
		slot(v, SLOT_ISO_TIME, 0);
		say(v, "+08:00\",\"lines\":[");
	}
	for (unsigned i = 0; i < o->lines; i++)
		(hl7 ? hl7_line : json_line)(v, o, &catalogue[(number + i) % CATALOGUE_ITEMS], i);
	if (hl7) {
		buffer_put(&v->text, "\x1c\r", 2);
	} else {
		say(v, "]}");
		http_head(v, o);
	}
}

struct templates *
templates_new(const struct template_options *o)
{
	struct templates *t = need(sizeof(*t));

	if (strlen(o->tag) != TAG_WIDTH)
		die("a tag has %d characters", TAG_WIDTH);
	t->o = *o;
	for (unsigned i = 0; i < VARIANTS; i++)
		variant_write(&t->variants[i], o, i);
	return t;
}

void
templates_free(struct templates *t)
{
	for (unsigned i = 0; i < VARIANTS; i++) {
		buffer_free(&t->variants[i].text);
		free(t->variants[i].slots);
	}
	free(t);
}

static void
keep_time(struct templates *t)
{
	time_t now = time(NULL), china = now + 8 * 3600;
	struct tm tm;

	if (now == t->rendered_second)
		return;
	t->rendered_second = now;
	gmtime_r(&china, &tm);
	strftime(t->time, sizeof(t->time), "%Y%m%d%H%M%S", &tm);
	strftime(t->iso_time, sizeof(t->iso_time), "%Y-%m-%dT%H:%M:%S", &tm);
}

void
templates_render(struct templates *t, struct buffer *out, uint64_t serial, uint64_t visit)
{
	const struct variant *v = &t->variants[serial % VARIANTS];
	char *to = buffer_room(out, v->text.used);

	keep_time(t);
	memcpy(to, v->text.p, v->text.used);
	for (size_t i = 0; i < v->n; i++) {
		const struct slot *s = &v->slots[i];
		switch (s->kind) {
		case SLOT_SERIAL:
			put_digits(to + s->at, serial, SERIAL_WIDTH);
			break;
		case SLOT_LINE:
			put_digits(to + s->at, serial * t->o.lines + s->nth, LINE_WIDTH);
			break;
		case SLOT_VISIT:
			put_digits(to + s->at, visit, VISIT_WIDTH);
			break;
		case SLOT_TIME:
			memcpy(to + s->at, t->time, TIME_WIDTH);
			break;
		case SLOT_ISO_TIME:
			memcpy(to + s->at, t->iso_time, ISO_TIME_WIDTH);
			break;
		case SLOT_FEED:
			put_digits(to + s->at, serial % t->o.feeds + 1, FEED_WIDTH);
			break;
		}
	}
	out->used += v->text.used;
}

size_t
templates_bytes(const struct templates *t)
{
	size_t sum = 0;

	for (unsigned i = 0; i < VARIANTS; i++)
		sum += t->variants[i].text.used;
	return sum / VARIANTS;
}
