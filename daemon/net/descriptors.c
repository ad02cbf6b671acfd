/* RLIMIT_NOFILE. */
#include "descriptors.h"

#include <sys/resource.h>

#include "base/log.h"

size_t
descriptors_for_peers(size_t reserved)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		fatal("the limit of open files cannot be read");
	if (limit.rlim_cur < limit.rlim_max) {
		rlim_t soft = limit.rlim_cur;
		limit.rlim_cur = limit.rlim_max;
		if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
			limit.rlim_cur = soft;
	}
	return limit.rlim_cur > reserved + 1 ? (size_t)limit.rlim_cur - reserved : 1;
}

size_t
descriptors_share(size_t wanted, size_t sum, size_t available)
{
	size_t share = sum <= available ? wanted : wanted * available / sum;

	return share > 0 ? share : 1;
}
