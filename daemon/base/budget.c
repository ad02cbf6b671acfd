/* Two counters and their limits. */
#include "budget.h"

#include <assert.h>

void
account_open(struct account *a, struct budget *budget, bool named)
{
	*a = (struct account){budget, 0, named};
}

bool
account_set(struct account *a, size_t bytes)
{
	struct budget *b = a->budget;

	assert(b != NULL);
	assert(b->used >= a->held);
	if (bytes > a->held) {
		size_t more = bytes - a->held;
		if (b->used + more > b->limit || (!a->named && b->strangers_used + more > b->strangers_limit))
			return false;
	}
	b->used = b->used - a->held + bytes;
	if (!a->named)
		b->strangers_used = b->strangers_used - a->held + bytes;
	a->held = bytes;
	return true;
}

void
account_name(struct account *a)
{
	if (a->named)
		return;
	assert(a->budget == NULL || a->budget->strangers_used >= a->held);
	if (a->budget != NULL)
		a->budget->strangers_used -= a->held;
	a->named = true;
}

void
account_close(struct account *a)
{
	struct budget *b = a->budget;

	if (b == NULL)
		return;
	assert(b->used >= a->held);
	b->used -= a->held;
	if (!a->named)
		b->strangers_used -= a->held;
	*a = (struct account){0};
}
