/* Memory that peers cause, counted: frames, bodies, messages in work and output of all of them draw on one budget, and those without a name on a
 * small share of it. Counting allocates nothing: whoever takes memory for a peer asks here first. */
#ifndef VB_BASE_BUDGET_H
#define VB_BASE_BUDGET_H

#include <stdbool.h>
#include <stddef.h>

struct budget {
	size_t limit, used;
	size_t strangers_limit, strangers_used;	/* the share of peers without a name; it counts in `used`, too */
};

/* One object's part of a budget. Embedded in what holds the memory. */
struct account {
	struct budget *budget;
	size_t held;
	bool named;
};

void account_open(struct account *a, struct budget *budget, bool named);

/* The object holds this many bytes now. False when that is more than before and beyond the budget or the strangers' share; then nothing changes. */
bool account_set(struct account *a, size_t bytes) __attribute__((warn_unused_result));

/* Its peer has a name now: what it holds no longer counts as a stranger's. */
void account_name(struct account *a);

/* Gives everything back. An account of zeros, or a closed one, is fine. */
void account_close(struct account *a);

#endif
