/* config check, config sample. */
#include <stdio.h>

#include "ctl.h"

int
ctl_config_check(const struct ctl *c, int argc, char **argv)
{
	char error[512];

	if (ctl_arguments(c, argc, argv, NULL, 0, NULL, 0) != CTL_OK)
		return CTL_USAGE;
	struct config *config = config_load(c->config_path, error, sizeof(error));
	if (config == NULL)
		return ctl_failed("%s", error);
	printf("%s: ok, %zu %s, %zu %s\n", c->config_path, config->n_facilities, config->n_facilities == 1 ? "facility" : "facilities",
	    config->n_feeds, config->n_feeds == 1 ? "feed" : "feeds");
	config_release(config);
	return CTL_OK;
}

int
ctl_config_sample(const struct ctl *c, int argc, char **argv)
{
	if (ctl_arguments(c, argc, argv, NULL, 0, NULL, 0) != CTL_OK)
		return CTL_USAGE;
	config_print_sample(stdout);
	return CTL_OK;
}
