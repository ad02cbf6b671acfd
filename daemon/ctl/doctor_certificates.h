/* doctor's look at certificates, shared by doctor.c and doctor_certificates.c. */
#ifndef VB_CTL_DOCTOR_CERTIFICATES_H
#define VB_CTL_DOCTOR_CERTIFICATES_H

#include "ctl.h"
#include "proto/arena.h"

struct doctor {
	struct arena arena;
	size_t bad;
};

/* A line: what was looked at, what was found, and where it is not good how to mend it. */
void doctor_say(struct doctor *d, bool good, const char *what, const char *found, const char *mend);

/* The files of every listener: readable, belonging together, and how long they hold. */
void doctor_certificates(struct doctor *d, const struct config *config);

#endif
