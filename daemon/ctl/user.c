/* The user's name as the system knows it. */
#include "user.h"

#include <pwd.h>
#include <string.h>
#include <unistd.h>

const char *
user_name(struct arena *a)
{
	const struct passwd *user = getpwuid(getuid());

	return user != NULL ? arena_copy(a, user->pw_name, strlen(user->pw_name)).p : arena_printf(a, "uid %u", (unsigned)getuid());
}
