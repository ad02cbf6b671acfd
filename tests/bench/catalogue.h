/* The task is plausible content: what hospitals charge for, who does it and where. All contenders book lines of these items. */
#ifndef VB_BENCH_CATALOGUE_H
#define VB_BENCH_CATALOGUE_H

#include <stdint.h>

struct item {
	const char *code, *national_code, *name, *unit, *class, *category;
	int64_t quantity;	/* whole units */
	int64_t price;		/* fen a unit */
	const char *department_code, *department;
	const char *performer_code, *performer_family, *performer_given;
	const char *orderer_code, *orderer_family, *orderer_given;
};

enum { CATALOGUE_ITEMS = 16 };
extern const struct item catalogue[CATALOGUE_ITEMS];

int catalogue_category(const struct item *i);	/* 1 to 14 */

/* The price list in the form that the schema's items_import takes, on standard output. */
void catalogue_print_json(void);

#endif
