/* What the database found for visits that were named by their patient. */
#include "patient_visits.h"

#include <stdlib.h>

#include "base/memory.h"

void
patient_visits_add(struct patient_visits *p, struct visit_ref *v, struct arena *arena, uint32_t position)
{
	if (p->n == p->room) {
		p->room = p->room > 0 ? p->room * 2 : 16;
		p->all = memory_resize(p->all, p->room * sizeof(*p->all));
	}
	p->all[p->n++] = (struct patient_visit){v, arena, position};
}

void
patient_visits_free(struct patient_visits *p)
{
	free(p->all);
}

void
patient_visits_found(struct patient_visits *p, const char *numbers)
{
	uint32_t line = 0;

	for (size_t i = 0; i < p->n; i++) {
		struct patient_visit *v = &p->all[i];
		for (; line < v->position; line++)
			numbers += strcspn(numbers, "\n") + (numbers[strcspn(numbers, "\n")] != '\0');
		size_t n = strcspn(numbers, "\n");
		bool counted = n > 0 && numbers[0] == '\t';
		/* both each time: the batch before may have said something else, and was rolled back */
		v->visit->open_visits = counted ? atoi(numbers + 1) : 0;
		v->visit->found_no = n > 0 && !counted ? arena_copy(v->arena, numbers, n) : VIEW_NONE;
	}
}

void
patient_visit_apply(struct visit_ref *v)
{
	if (!visit_is_by_patient(v) || v->found_no.n == 0)
		return;
	v->visit_no = v->found_no;
	v->number_kind = NULL;
}

struct refusal
patient_visit_refusal(const struct visit_ref *v, struct arena *a)
{
	const char *wanted = visit_class_by_patient(v), *class = wanted != NULL ? wanted : v->visit_class, *word = class != NULL ? class : "";
	const char *blank = class != NULL ? " " : "", *reason = v->open_visits > 0 ? "visit_ambiguous" : "visit_unknown", *detail;

	if (v->open_visits > 0)
		detail = arena_printf(a, "the patient has %d open %s%svisits: say the visit's number", v->open_visits, word, blank);
	else if (v->visit_class != NULL && strcmp(v->visit_class, word) != 0)
		detail = arena_printf(a, "the feed's lines go to the patient's open %s visit, and PV1-2 says %s", word, v->visit_class);
	else
		detail = arena_printf(a, "the patient has no open %s%svisit", word, blank);
	return (struct refusal){reason, detail, v->location};
}
