/* Lines that name their visit by its patient (PATIENT_KIND of proto/intake.h): the numbers that were found, and why there is none. */
#ifndef VB_INTAKE_PATIENT_VISITS
#define VB_INTAKE_PATIENT_VISITS

#include "proto/intake.h"

/* Those of a step. Set to zero to begin with. */
struct patient_visits {
	struct patient_visit {
		struct visit_ref *visit;
		struct arena *arena;	/* of its job */
		uint32_t position;	/* among the step's visits, from 0 */
	} *all;
	size_t n, room;
};

void patient_visits_add(struct patient_visits *p, struct visit_ref *v, struct arena *arena, uint32_t position);
void patient_visits_free(struct patient_visits *p);

/* numbers: a line for each of the step's visits: its own number, or behind a tab how many open ones there are; empty where it was not asked for. What was
 * found is kept beside the patient's number: the batch may still be rolled back, and then the visit is looked for again. */
void patient_visits_found(struct patient_visits *p, const char *numbers);

/* The batch is committed: a visit that was found has its own number from now on, as if it had been sent. */
void patient_visit_apply(struct visit_ref *v);

/* Why there is none. */
struct refusal patient_visit_refusal(const struct visit_ref *v, struct arena *a);

#endif
