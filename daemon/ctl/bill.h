/* A bill as a patient reads it: bill.c finds it, bill_print.c sets it on the page. */
#ifndef VB_CTL_BILL_H
#define VB_CTL_BILL_H

#include <json-c/json.h>
#include <stdio.h>

struct bill_page {
	json_object *bill;	/* bill_doc() of sql/functions/60_documents.sql */
	json_object *more;	/* what a patient wants to see besides: bill.c's more_sql */
	int columns;		/* width of the page */
};

/* Every row is exactly that many columns wide. */
void bill_print(const struct bill_page *page, FILE *out);

#endif
