/* The price list by messages: MFN^M04 and M02, an entry a MFE with its CDM and PRC (HL7 v2.8 chapter 8, section 8.10), and the part of the answer that tells of
 * each entry (MFI, MFA).
 *
 *   MFE-1  MAD MUP MAC put the item in the list, MDL MDC end it; MFE-2 the sender's id of the entry; MFE-3 from when on, else PRC-11, MFI-5, MSH-7
 *   MFE-4  the code, else CDM-1
 *   CDM-3  name, else CDM-4; CDM-7 the national code
 *   PRC-5  the price, PRC-14 the category 01 to 14
 *   ZCD    behind CDM, ours: 1 unit, 2 class A B C, 3 the share that patients pay themselves, 0 to 1
 * What an entry does not say stays as it was the day before. */
#ifndef VB_PROTO_HL7_ITEMS
#define VB_PROTO_HL7_ITEMS

#include "reader.h"

/* Where the walk through the entries of a message is. */
struct hl7_items {
	struct reader *reader;
	struct intake *intake;
	struct view rest;
	int64_t now;
	int offset;
	bool has_day;			/* MFI-5 */
	int32_t day;
	unsigned n_cdm, n_prc;		/* of the message, from 1 */
	size_t n;			/* of entries */
};

/* Begins to fill intake->items from a message of n entries; at most so many are taken. All of it must outlive the walk. */
void hl7_items_begin(struct hl7_items *w, struct view message, struct reader *r, int64_t now, int offset, size_t n, size_t most, struct intake *in);
/* Goes on for about so many bytes. True at the message's end. */
bool hl7_items_step(struct hl7_items *w, size_t bytes);

/* MFI as it was sent, and an MFA for each entry, S or U; each with its CR. Empty where nothing is told: MFI-6 is NE. */
struct view hl7_items_answer(const struct intake *in, const struct hl7_header *h, struct arena *a);

#endif
