/* FT1 segments to charge lines (HL7 v2.8 chapter 6, section 6.5.1). */
#ifndef VB_PROTO_HL7_FT1_H
#define VB_PROTO_HL7_FT1_H

#include "hl7_events.h"

/* Fills intake->lines, which has room for every FT1 of the message, each line checked. */
void hl7_ft1_parse(struct view message, const struct hl7_header *h, const struct hl7_context *c, struct intake *intake);

#endif
