/* How a feed speaks: which field numbers a visit, which identifies a line, what its codes mean. Made once of the feed's settings; one table
 * (profile.c) has each setting's key, what reads its text, and the complaint where that cannot be read. */
#ifndef VB_PROTO_HL7_PROFILE_H
#define VB_PROTO_HL7_PROFILE_H

#include "header.h"
#include "proto/arena.h"

enum hl7_profile_key {
	PROFILE_VISIT_NO, PROFILE_PATIENT_NO, PROFILE_LINE_ID, PROFILE_CODE, PROFILE_NEGATIVE, PROFILE_CURRENCIES, PROFILE_TYPES, PROFILE_CLASSES,
	PROFILE_SEXES, PROFILE_DEPARTMENTS, PROFILE_A40, PROFILE_IGNORE,
	PROFILE_KEYS
};

/* What numbers a visit; a merge names the other one in the MRG field that belongs to it. */
enum hl7_visit_field {
	VISIT_PV1_19,		/* MRG-5 */
	VISIT_PID_18,		/* MRG-3 */
	VISIT_PV1_50,		/* MRG-6 */
	VISIT_FIELDS
};

/* What identifies a line in its visit; where it is blank, the next one of the profile, at last MSH-10 and FT1-1. */
enum hl7_line_id { LINE_ID_FT1_2, LINE_ID_FT1_23, LINE_ID_BY_MESSAGE, LINE_IDS };

/* Which repetition of PID-3 and MRG-1 is the patient's number. */
enum hl7_patient_by {
	PATIENT_BY_PLACE,	/* the first; where PID-3 is blank, PID-2 */
	PATIENT_BY_TYPE,	/* the first whose identifier type (CX.5) is patient_word */
	PATIENT_BY_AUTHORITY,	/* the first whose assigning authority (CX.4.1) is */
};

/* Codes of the feed to ours, in the order of `from`. */
struct hl7_map {
	const struct hl7_map_code { struct view from, to; } *codes;
	size_t n;
};

struct hl7_profile {
	struct arena arena;		/* of everything below; empty where it is all static */
	enum hl7_visit_field visit_no[VISIT_FIELDS];	/* the first that is there */
	size_t n_visit_no;
	const char *patient_kind;	/* lines without a number go to the patient's one open visit: a number_kind of intake.h; NULL: they do not */
	const char *visit_missing;	/* "no visit number in PV1-19 nor in PID-18" */
	enum hl7_patient_by patient_by;
	struct view patient_word;
	enum hl7_line_id line_id[LINE_IDS];
	size_t n_line_id;
	unsigned code[2];		/* fields of FT1 that have the item's code, the first that is there */
	size_t n_code;
	bool negative_is_credit;	/* a charge of a negative quantity or amount */
	const struct view *currencies;	/* that mean yuan */
	size_t n_currencies;
	struct hl7_map types, classes, sexes, departments;
	bool a40_visits;		/* A40 merges visits, not patients */
	const struct view *ignore;	/* MSH-9 of what is not for billing: ORU, ADT^A60 */
	size_t n_ignore;
};

/* The key of the settings file. */
const char *hl7_profile_key(enum hl7_profile_key key);
/* What is wrong with a setting's text, words that follow its name; NULL where nothing is. */
const char *hl7_profile_complaint(enum hl7_profile_key key, const char *text);

/* The profile of these texts, one a key, about which there is no complaint. They are copied. */
struct hl7_profile *hl7_profile_new(const char *const texts[PROFILE_KEYS]);
void hl7_profile_free(struct hl7_profile *p);
/* The profile of a feed that sets nothing. */
const struct hl7_profile *hl7_profile_usual(void);

/* The code that ours stands for; the code itself where the map does not know it. */
struct view hl7_map_find(const struct hl7_map *map, struct view code);
static inline struct view
hl7_map_code(const struct hl7_map *map, struct view code)
{
	return map->n > 0 ? hl7_map_find(map, code) : code;	/* few feeds have one */
}
bool hl7_profile_numbers(const struct hl7_profile *p, enum hl7_visit_field field);
/* Is the message one that is not for billing? */
bool hl7_profile_ignores(const struct hl7_profile *p, const struct hl7_header *h);

#endif
