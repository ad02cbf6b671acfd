/* One exchange after the other, blocking: the point is what the daemon keeps afterwards. */
#include "idle.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "reply.h"

static int
open_one(const char *address, const char *request, size_t n, bool mllp)
{
	char reply[4096];
	size_t used = 0;
	int fd = connect_to(address);

	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
	if (send(fd, request, n, MSG_NOSIGNAL) != (ssize_t)n)
		die("%s: %s", address, strerror(errno));
	while (used < sizeof(reply)) {
		ssize_t got = recv(fd, reply + used, sizeof(reply) - used, 0);
		struct http_reply r;
		if (got <= 0)
			return -1;
		used += (size_t)got;
		if (mllp && memchr(reply, '\x1c', used) != NULL)
			return memmem(reply, used, "\rMSA|AA|", 8) != NULL ? fd : -1;
		if (!mllp && reply_http(reply, used, &r) == REPLY_GOOD)
			return r.status == 200 ? fd : -1;
	}
	return -1;
}

unsigned
idle_hold(const char *mllp, const char *http, unsigned n, struct templates *templates, uint64_t visits)
{
	static const char get[] = "GET /healthz HTTP/1.1\r\nHost: bench\r\n\r\n";
	struct buffer request = {0};
	unsigned failures = 0, open = 0;
	char c;

	for (unsigned i = 0; i < n; i++) {
		if (mllp != NULL) {
			request.done = request.used;
			templates_render(templates, &request, i, i % visits);
			if (open_one(mllp, request.p + request.done, request.used - request.done, true) < 0)
				failures++;
			else
				open++;
		}
		if (http != NULL) {
			if (open_one(http, get, sizeof(get) - 1, false) < 0)
				failures++;
			else
				open++;
		}
	}
	buffer_free(&request);
	printf("{\"ready\":true,\"open\":%u,\"failures\":%u}\n", open, failures);
	fflush(stdout);
	while (read(STDIN_FILENO, &c, 1) > 0)
		continue;
	return failures;
}
