/* Building acknowledgements. */
#include "acknowledgement.h"

#include <stdlib.h>

#include "proto/reason.h"
#include "proto/text.h"
#include "proto/timestamp.h"

/* Text of ours with the delimiters escaped; a line end is sent as \X0D\. */
static void
put_escaped(struct text *t, const struct hl7_delimiters *d, const char *s)
{
	for (; *s != '\0'; s++) {
		const char *e = *s == d->field ? "F" : *s == d->component ? "S" : *s == d->repetition ? "R" : *s == d->escape ? "E"
		    : *s == d->subcomponent ? "T" : *s == '\r' || *s == '\n' ? "X0D" : NULL;
		if (e == NULL) {
			text_char(t, *s);
		} else {
			text_char(t, d->escape);
			text_string(t, e);
			text_char(t, d->escape);
		}
	}
}

/* Our locations are written SEG^n^field; the sender's component delimiter may be another. */
static void
put_location(struct text *t, const struct hl7_delimiters *d, const char *location)
{
	for (; *location != '\0'; location++)
		text_char(t, *location == '^' ? d->component : *location);
}

/* Table 0155. HL7's null says nothing; a word that is not in the table is taken as AL: better an answer too many than a sender who waits. */
static bool
wanted(struct view condition, bool success)
{
	if (condition.n == 0 || view_is(condition, "NE"))
		return false;
	if (view_is(condition, "SU") || view_is(condition, "ER"))
		return success == (condition.p[0] == 'S');
	return true;
}

struct ack_plan
hl7_ack_plan(const struct hl7_header *h, enum ack_verdict verdict)
{
	static const char *const commits[] = {"CA", "CE", "CR"}, *const applications[] = {"AA", "AE", "AR"};
	struct ack_plan plan = {0};
	bool success = verdict == ACK_ACCEPT;

	struct view accept = hl7_is_null(h->accept_ack) ? VIEW_NONE : h->accept_ack;
	struct view application = hl7_is_null(h->application_ack) ? VIEW_NONE : h->application_ack;

	if (view_is(h->type, "ACK") || view_is(h->type, "MCF"))
		return plan;
	if (accept.n == 0 && application.n == 0) {
		plan.application = applications[verdict];
		return plan;
	}
	if (wanted(application, success) && verdict != ACK_REJECT) {
		plan.application = applications[verdict];
		/* what has errors is safe in quarantine: the commit is positive, the application says the rest */
		if (wanted(accept, true))
			plan.commit = "CA";
		return plan;
	}
	if (wanted(accept, success))
		plan.commit = commits[verdict];
	else if (wanted(application, success))
		plan.application = applications[verdict];
	return plan;
}

enum ack_verdict
hl7_ack_verdict(const struct refusal *refused)
{
	if (refused->reason == NULL)
		return ACK_ACCEPT;
	const struct reason *r = reason_of(refused->reason);
	bool reject = (r->hl7_code >= 200 && r->hl7_code <= 203) || r->retry;
	return reject ? ACK_REJECT : ACK_ERROR;
}

/* Is the version at least 2.minor? Blank is 2.5: the acknowledgement then says so itself. */
static bool
version_is_from(const struct hl7_header *h, char minor)
{
	struct view version = view_trim(hl7_component(h->version, &h->delimiters, 1));

	if (version.n == 0)
		return minor <= '5';
	return version.n >= 3 && version.p[0] == '2' && version.p[1] == '.' && version.p[2] >= minor;
}

/* MSH-9 of an acknowledgement: the type alone before 2.2, with the event up to 2.3.1, from 2.4 with the structure. */
static void
put_type(struct text *t, const struct hl7_header *h, bool of_price_list)
{
	text_string(t, of_price_list ? "MFK" : "ACK");
	if (h->event.n == 0 || !version_is_from(h, '2'))
		return;
	text_char(t, h->delimiters.component);
	text_put(t, h->event);
	if (!version_is_from(h, '4'))
		return;
	text_char(t, h->delimiters.component);
	text_string(t, of_price_list ? "MFK_M01" : "ACK");
}

static void
put_err(struct text *t, const struct hl7_header *h, const struct refusal *e)
{
	const struct hl7_delimiters *d = &h->delimiters;
	const struct reason *r = reason_of(e->reason);
	char sub = d->subcomponent != '\0' ? d->subcomponent : '&';
	const char *location = e->location != NULL ? e->location : "MSH^1";

	text_string(t, "ERR");
	text_char(t, d->field);
	if (version_is_from(h, '5')) {		/* the new fields, and a message for people, came with 2.5 */
		text_char(t, d->field);
		put_location(t, d, location);
		text_char(t, d->field);
		text_number(t, r->hl7_code);
		text_char(t, d->component);
		text_string(t, r->hl7_text);
		text_char(t, d->component);
		text_string(t, "HL70357");
		text_char(t, d->field);
		text_string(t, "E");
		text_char(t, d->field);
		text_string(t, r->name);		/* ERR-5: our own code */
		text_char(t, d->field);
		text_char(t, d->field);
		put_escaped(t, d, e->detail != NULL ? e->detail : r->title);
		text_char(t, d->field);
		put_escaped(t, d, r->retry ? "send again" : "sending again does not help");
	} else {
		/* ELD: segment, sequence, field, then the code: always the fourth */
		int separators = 0;
		for (const char *p = location; *p != '\0' && (*p != '^' || separators < 2); p++) {
			separators += *p == '^';
			text_char(t, *p == '^' ? d->component : *p);
		}
		for (; separators < 3; separators++)
			text_char(t, d->component);
		text_number(t, r->hl7_code);
		text_char(t, sub);
		text_string(t, r->hl7_text);
		text_char(t, sub);
		text_string(t, "HL70357");
	}
	text_char(t, '\r');
}

static void
put_msh(struct text *t, const struct hl7_header *h, const struct ack_content *c)
{
	const struct hl7_delimiters *d = &h->delimiters;
	char time[TIMESTAMP_TEXT];
	struct view fields[] = {
		h->receiving_application, h->receiving_facility, h->sending_application, h->sending_facility,
		view_of(timestamp_hl7(c->now, c->offset, time)), VIEW_NONE,
	};

	text_string(t, "MSH");
	text_char(t, d->field);
	text_char(t, d->component);
	text_char(t, d->repetition);
	text_char(t, d->escape);
	if (d->subcomponent != '\0')
		text_char(t, d->subcomponent);
	if (d->truncation != '\0')
		text_char(t, d->truncation);
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		text_char(t, d->field);
		text_put(t, fields[i]);
	}
	text_char(t, d->field);
	put_type(t, h, c->of_price_list);
	text_char(t, d->field);
	text_string(t, c->own_id);
	text_char(t, d->field);
	text_put(t, h->processing_id.n > 0 ? h->processing_id : VIEW_LITERAL("P"));
	text_char(t, d->field);
	text_put(t, h->version.n > 0 ? h->version : VIEW_LITERAL("2.5"));
	if (h->charset.n > 0) {
		for (int i = 13; i <= 18; i++)
			text_char(t, d->field);
		text_put(t, h->charset);
	}
	text_char(t, '\r');
}

struct view
hl7_ack_build(struct arena *a, const struct hl7_header *h, const struct ack_content *c)
{
	struct text t = text_begin(a, 512);
	const struct hl7_delimiters *d = &h->delimiters;
	char code[3] = {c->code[0], c->code[1], '\0'};

	if (view_trim(h->control_id).n == 0 && code[1] == 'A')
		code[1] = 'E';
	put_msh(&t, h, c);
	text_string(&t, "MSA");
	text_char(&t, d->field);
	text_string(&t, code);
	text_char(&t, d->field);
	text_put(&t, h->control_id);
	if (c->n_errors > 0 && !c->brief && !version_is_from(h, '7')) {	/* withdrawn in 2.7: ERR says it */
		const struct refusal *e = &c->errors[0];
		text_char(&t, d->field);
		put_escaped(&t, d, e->detail != NULL ? e->detail : reason_of(e->reason)->title);
	}
	text_char(&t, '\r');
	if (c->brief)
		return text_view(&t);
	for (size_t i = 0; i < c->n_errors; i++)
		put_err(&t, h, &c->errors[i]);
	text_put(&t, c->extra);
	return text_view(&t);
}
