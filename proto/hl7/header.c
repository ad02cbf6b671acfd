/* Reading MSH, and judging it: a bad MSH-9, 11 or 12 is rejected (AR), anything else missing is an error (AE). */
#include "header.h"

#include <ctype.h>

#include "proto/fields.h"
#include "proto/utf8.h"

static bool
version_is_known(struct view v)
{
	/* 2, 2.1 … 2.9, 2.5.1 */
	if (v.n == 0 || v.p[0] != '2' || v.n > 6)
		return false;
	for (size_t i = 1; i < v.n; i++)
		if (i % 2 == 1 ? v.p[i] != '.' : !isdigit((unsigned char)v.p[i]))
			return false;
	return v.n % 2 == 1;
}

static struct view
event_of_evn(struct view message, const struct hl7_delimiters *d)
{
	struct hl7_segment s;
	struct hl7_fields f;

	while (hl7_next_segment(&message, &s))
		if (hl7_is(&s, "EVN")) {
			hl7_split(&s, d, &f);
			return view_trim(hl7_component(hl7_field(&f, 1), d, 1));
		}
	return VIEW_NONE;
}

/* Fields that are too long for anybody's code are refused, and emptied: an answer repeats MSH-3 to 6. MSH-10 stays: it is repeated byte for byte. */
static void
bound_fields(struct hl7_fields *f, struct arena *a, struct refusal *refused)
{
	static const unsigned char kept[] = {3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 15, 16, 18};

	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
		enum field field = kept[i] == 10 ? FIELD_MESSAGE_ID : FIELD_HEADER;
		struct view v = hl7_field(f, kept[i]);
		if (v.n <= field_limit_of(field)->most && field != FIELD_MESSAGE_ID)
			continue;
		const char *complaint = field_complaint(field, v);
		if (complaint != NULL && refused->reason == NULL)
			*refused = (struct refusal){"field_invalid", arena_printf(a, "MSH-%d %s", kept[i], complaint), arena_printf(a, "MSH^1^%d", kept[i])};
		if (field != FIELD_MESSAGE_ID)
			f->f[kept[i]] = VIEW_NONE;
	}
}

void
hl7_header_parse(struct view message, const char *processing, struct arena *a, struct hl7_header *h, struct refusal *refused)
{
	struct hl7_segment msh;
	struct hl7_fields f;
	struct view rest = message;
	const struct hl7_delimiters *d = &h->delimiters;

	*h = (struct hl7_header){.delimiters = {'|', '^', '~', '\\', '&', 0}};
	*refused = (struct refusal){0};
	if (!hl7_next_segment(&rest, &msh) || !hl7_is(&msh, "MSH") || hl7_delimiters_of(msh.line, &h->delimiters) != 0) {
		*refused = (struct refusal){"not_hl7", "the message does not begin with MSH and its delimiters", "MSH^1"};
		return;
	}
	hl7_split(&msh, d, &f);
	bound_fields(&f, a, refused);
	h->sending_application = hl7_field(&f, 3);
	h->sending_facility = hl7_field(&f, 4);
	h->receiving_application = hl7_field(&f, 5);
	h->receiving_facility = hl7_field(&f, 6);
	h->application = view_trim(hl7_text(hl7_component(hl7_field(&f, 3), d, 1), d, a));
	h->facility = view_trim(hl7_text(hl7_component(hl7_field(&f, 4), d, 1), d, a));
	h->time = hl7_component(hl7_field(&f, 7), d, 1);
	h->type = view_trim(hl7_component(hl7_field(&f, 9), d, 1));
	h->event = view_trim(hl7_component(hl7_field(&f, 9), d, 2));
	h->control_id = hl7_field(&f, 10);
	h->processing_id = hl7_field(&f, 11);
	h->version = hl7_field(&f, 12);
	h->sequence_number = hl7_field(&f, 13);
	h->accept_ack = view_trim(hl7_field(&f, 15));
	h->application_ack = view_trim(hl7_field(&f, 16));
	h->charset = hl7_field(&f, 18);
	if (h->event.n == 0)
		h->event = event_of_evn(rest, d);
	if (h->event.n > field_limit_of(FIELD_HEADER)->most) {
		h->event = VIEW_NONE;
		if (refused->reason == NULL)
			*refused = (struct refusal){"field_invalid", arena_printf(a, "EVN-1 %s", field_limit_of(FIELD_HEADER)->too_long), "EVN^1^1"};
	}
	if (refused->reason != NULL)
		return;

	struct view id = hl7_component(h->processing_id, d, 1);
	if (h->type.n == 0)
		*refused = (struct refusal){"message_type", "the message type is empty", "MSH^1^9"};
	else if (id.n != 1 || strchr(processing, toupper((unsigned char)id.p[0])) == NULL)
		*refused = (struct refusal){"processing_id",
		    arena_printf(a, "processing id \"%.*s\" is not one of %s", (int)utf8_cut(id, 20).n, id.p, processing), "MSH^1^11"};
	else if (!version_is_known(hl7_component(h->version, d, 1)))
		*refused = (struct refusal){"version", "the version is not 2.x", "MSH^1^12"};
	else if (view_trim(h->control_id).n == 0)
		*refused = (struct refusal){"control_id_missing", "no message control id", "MSH^1^10"};
}
