/* Runs a fuzzer over kept inputs, so that any compiler's normal test run replays them: replay_x PATH…, files or folders of files. */
#include <dirent.h>
#include <errno.h>
#include <sys/stat.h>

#include "fuzz.h"

static size_t replayed;

static void
die(const char *what, const char *path)
{
	fprintf(stderr, "%s %s: %s\n", what, path, strerror(errno));
	exit(EXIT_FAILURE);
}

static void
replay_file(const char *path)
{
	FILE *f = fopen(path, "rb");
	size_t n = 0, room = 65536;
	uint8_t *bytes = malloc(room);

	if (f == NULL || bytes == NULL)
		die("cannot read", path);
	for (size_t got; (got = fread(bytes + n, 1, room - n, f)) > 0;) {
		n += got;
		if (n == room && (bytes = realloc(bytes, room *= 2)) == NULL)
			die("cannot hold", path);
	}
	if (ferror(f))
		die("cannot read", path);
	fclose(f);
	fprintf(stderr, "%s\n", path);	/* the last one named is the one that failed */
	LLVMFuzzerTestOneInput(bytes, n);
	replayed++;
	free(bytes);
}

static void
replay_path(const char *path)
{
	struct stat st;
	struct dirent **names;

	if (stat(path, &st) != 0)
		die("cannot find", path);
	if (!S_ISDIR(st.st_mode)) {
		replay_file(path);
		return;
	}
	int n = scandir(path, &names, NULL, alphasort);
	if (n < 0)
		die("cannot read", path);
	for (int i = 0; i < n; i++) {
		if (names[i]->d_name[0] != '.') {
			char *inside;
			if (asprintf(&inside, "%s/%s", path, names[i]->d_name) < 0)
				die("cannot hold", path);
			replay_path(inside);
			free(inside);
		}
		free(names[i]);
	}
	free(names);
}

int
main(int argc, char **argv)
{
	LLVMFuzzerTestOneInput((const uint8_t *)"", 0);
	for (int i = 1; i < argc; i++)
		replay_path(argv[i]);
	printf("%zu inputs replayed\n", replayed);
	return replayed > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
