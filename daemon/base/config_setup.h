/* What the database has to know of the configuration: the argument of setup_apply (sql/functions/02_setup.sql). */
#ifndef VB_BASE_CONFIG_SETUP_H
#define VB_BASE_CONFIG_SETUP_H

#include "config.h"

/* {"facilities": […], "feeds": […]} as JSON text. The caller frees it. */
char *config_setup_json(const struct config *c) __attribute__((warn_unused_result));

#endif
