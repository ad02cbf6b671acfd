/* ADT, DFT and BAR messages to visit events and charge lines: the HL7 profile of visitbill (HL7 v2.8 chapters 3 and 6).
 *
 * What a message means to billing, by its type and event. Which fields number a visit, a patient and a line is the feed's profile to say (profile.h); the
 * fields below are those of a feed that says nothing.
 *
 *   ADT A01 A04 A05, BAR P01      open a visit            visit: PV1-19.1, else PID-18.1
 *   ADT A02 A06 A07 A08 A12,      update it               patient: PID-3.1, name PID-5
 *       BAR P05
 *   ADT A03, BAR P06              discharge it            at PV1-45, else EVN-2, else MSH-7
 *   ADT A13                       take that back
 *   ADT A11 A27 A38, BAR P02      cancel it
 *   ADT A28 A31                   update the patient
 *   ADT A34 A40 A43 A47           merge patients          MRG-1 into PID-3
 *   ADT A35 A41 A49               merge accounts          MRG-3 into PID-18
 *   ADT A18 A36                   both
 *   ADT A42 A50                   merge visits            MRG-5 into PV1-19
 *   ADT A44, A45                  move an account, a visit to the patient of PID-3
 *   ADT A51, BAR P12              nothing that billing keeps
 *   MFN M04 M02                   the price list: see items.h
 *   DFT P03 P11                charge lines, one an FT1; a ZRV after it names the line that a CD takes back
 */
#ifndef VB_PROTO_HL7_EVENTS
#define VB_PROTO_HL7_EVENTS

#include "profile.h"
#include "proto/intake.h"

struct hl7_context {
	int64_t now;			/* microseconds */
	int offset;			/* of times without one, seconds east */
	size_t max_lines;		/* FT1 segments, and groups, that a message may have */
	const struct hl7_profile *profile;	/* how the feed speaks */
};

/* Reads the body of a message whose header is fine. Fills everything of *intake but the arena and the facility ids; a refusal of the
 * whole message also stands in each of its lines, so that no line is lost from sight. */
void hl7_events_parse(struct view message, const struct hl7_header *h, const struct hl7_context *c, struct intake *intake);

/* The same in steps, of a message that may be large. What is begun with must outlive the reading. */
struct hl7_events;
struct hl7_events *hl7_events_begin(struct view message, const struct hl7_header *h, const struct hl7_context *c, struct intake *intake);
/* Goes on for about so many bytes of the message. True at its end. */
bool hl7_events_step(struct hl7_events *e, size_t bytes);

#endif
