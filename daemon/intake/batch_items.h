/* The items of a batch: which codes of the price list its lines name, each once, so that the database looks each up once and not once a line. */
#ifndef VB_INTAKE_BATCH_ITEMS
#define VB_INTAKE_BATCH_ITEMS

#include <stdint.h>

#include "proto/view.h"

struct item_key {
	int facility_id;
	int32_t day;			/* of the charge in the hospital's zone, days since 1970-01-01: prices change by the day */
	struct view code;		/* not empty; outlives the table's use */
};

/* Open addressing, kept from batch to batch. Start with zeros. */
struct item_table {
	struct item_place *places;
	size_t size;			/* a power of two */
};

void item_table_free(struct item_table *t);
/* Empties it, and makes room for so many keys. */
void item_table_reset(struct item_table *t, size_t keys);

/* The position of a key within a step of the batch, from 1. 0 the first time, and from then on `fresh`. */
uint32_t item_table_position(struct item_table *t, const struct item_key *key, unsigned step, uint32_t fresh);

#endif
