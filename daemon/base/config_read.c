/* Reading: files to lines, lines to values, and where each was read. A reader of our own, as the usual library, inih, takes lines of 200 bytes in
 * Debian's build, joins an indented line to the one above, and tells neither the line of a value nor a section without keys.
 *
 *   [KIND] or [KIND NAME]      a section; it may be continued later
 *   key = value                blanks around both go; an indented line is read as any other
 *   ; or # begins a comment line; a blank and ; begin a comment after a value
 *
 * UTF-8 without control characters, a byte order mark and CRLF are fine. No error shows a line's text: it may be a piece of a secret. */
#include "settings.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "memory.h"
#include "proto/utf8.h"

enum { FILE_MOST = 4 << 20, LINE_MOST = 64 << 10, NAME_MOST = 60, KEY_MOST = 40, SHOWN_MOST = 24, ELEMENTS_MOST = 10000 };

/* The file that is being read. */
struct source {
	struct reading *reading;
	unsigned file, line;
	size_t section, element;	/* SECTIONS before the first header */
	bool indented;
};

/* ------- errors */

/* The section as its header has it. */
static void
label_of(const struct reading *r, size_t section, size_t element, char *buf, size_t size)
{
	const struct section *s = &sections[section];

	if (s->named)
		snprintf(buf, size, "[%s %s]", s->kind, *(char **)section_element(r->config, s, element));
	else
		snprintf(buf, size, "[%s]", s->kind);
}

static int
say(struct reading *r, struct place at, const char *label, const char *key, const char *format, va_list args)
{
	char what[320];

	vsnprintf(what, sizeof(what), format, args);
	const char *file = r->files[at.line > 0 ? at.file : 0];
	char line[16] = "";
	if (at.line > 0)
		snprintf(line, sizeof(line), ":%u", at.line);
	snprintf(r->error, r->error_size, "%s%s: %s%s%s%s%s", file, line, label, label[0] != '\0' ? " " : "", key != NULL ? key : "",
	    key != NULL ? " " : "", what);
	return -1;
}

int
reading_wrong(struct reading *r, const char *kind, size_t element, const char *key, const char *format, ...)
{
	size_t section = section_find(view_of(kind));
	struct place at = {0, 0};
	char label[NAME_MOST + 20] = "";
	va_list args;

	if (element < r->sections[section].n) {
		const struct element_places *e = &r->sections[section].elements[element];
		size_t setting = key != NULL ? setting_find(kind, view_of(key)) : n_settings;
		at = setting < n_settings && e->keys[setting].line > 0 ? e->keys[setting] : e->header;
		label_of(r, section, element, label, sizeof(label));
	}
	va_start(args, format);
	say(r, at, label, key, format, args);
	va_end(args);
	return -1;
}

/* About the line that is being read. label, key: "" and NULL where there is none. */
static int __attribute__((format(printf, 4, 5)))
line_wrong(const struct source *s, const char *label, const char *key, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(s->reading, (struct place){s->file, s->line}, label, key, format, args);
	va_end(args);
	return -1;
}

/* ------- lines */

static struct view
trim(struct view v)
{
	while (v.n > 0 && (*v.p == ' ' || *v.p == '\t'))
		v.p++, v.n--;
	while (v.n > 0 && (v.p[v.n - 1] == ' ' || v.p[v.n - 1] == '\t'))
		v.n--;
	return v;
}

static bool
consists_of(struct view v, const char *set, size_t least, size_t most)
{
	for (size_t i = 0; i < v.n; i++)
		if (v.p[i] == '\0' || strchr(set, v.p[i]) == NULL)
			return false;
	return v.n >= least && v.n <= most;
}

#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define DIGITS "0123456789"

static size_t
add_element(struct reading *r, size_t section, const char *name)
{
	size_t n = r->sections[section].n++;

	if (sections[section].named)
		section_add(r->config, &sections[section], name);
	r->sections[section].elements = memory_resize(r->sections[section].elements, (n + 1) * sizeof(struct element_places));
	r->sections[section].elements[n] = (struct element_places){{0, 0}, memory_new(n_settings * sizeof(struct place))};
	return n;
}

/* [kind] or [kind NAME], trimmed. */
static int
read_header(struct source *s, struct view line)
{
	const char *end = memchr(line.p, ']', line.n);

	if (end == NULL)
		return line_wrong(s, "", NULL, "a section is [KIND] or [KIND NAME], and ] is missing");
	struct view inside = trim((struct view){line.p + 1, (size_t)(end - line.p) - 1});
	struct view after = trim((struct view){end + 1, line.n - (size_t)(end + 1 - line.p)});
	if (after.n > 0 && *after.p != ';' && *after.p != '#')
		return line_wrong(s, "", NULL, "there is text after the ] of a section");
	size_t n = 0;
	while (n < inside.n && inside.p[n] != ' ' && inside.p[n] != '\t')
		n++;
	struct view kind = {inside.p, n}, name = trim((struct view){inside.p + n, inside.n - n});
	size_t section = section_find(kind);
	if (section == SECTIONS)
		return consists_of(kind, LOWER, 1, KEY_MOST) ? line_wrong(s, "", NULL, "[%.*s] is not a section", (int)kind.n, kind.p)
		    : line_wrong(s, "", NULL, "this is not a section");
	const char *known = sections[section].kind;
	if (!sections[section].named && name.n > 0)
		return line_wrong(s, "", NULL, "section [%s] has no name", known);
	if (sections[section].named && name.n == 0)
		return line_wrong(s, "", NULL, "section [%s] needs a name, as in [%s NAME]", known, known);
	if (sections[section].named && !consists_of(name, LOWER "ABCDEFGHIJKLMNOPQRSTUVWXYZ" DIGITS "-_.", 1, NAME_MOST))
		return line_wrong(s, "", NULL, "the name of a section [%s NAME] has to be 1 to 60 letters, digits, - _ or .", known);

	struct reading *r = s->reading;
	char text[NAME_MOST + 1];
	snprintf(text, sizeof(text), "%.*s", (int)name.n, name.n > 0 ? name.p : "");
	size_t i = 0;
	if (sections[section].named)
		while (i < r->sections[section].n && strcmp(*(char **)section_element(r->config, &sections[section], i), text) != 0)
			i++;
	if (i >= ELEMENTS_MOST)
		return line_wrong(s, "", NULL, "there are more than %d sections [%s NAME]", ELEMENTS_MOST, known);
	if (i == r->sections[section].n)
		add_element(r, section, text);
	struct place *header = &r->sections[section].elements[i].header;
	if (header->line == 0)
		*header = (struct place){s->file, s->line};
	s->section = section;
	s->element = i;
	return 0;
}

/* Up to a comment: a ; that follows a blank. */
static struct view
without_comment(struct view v)
{
	for (size_t i = 1; i < v.n; i++)
		if (v.p[i] == ';' && (v.p[i - 1] == ' ' || v.p[i - 1] == '\t'))
			return trim((struct view){v.p, i});
	return trim(v);
}

/* key = value. text is the line, with room for a NUL after it. */
static int
read_key(struct source *s, struct view line)
{
	struct reading *r = s->reading;
	const char *equals = memchr(line.p, '=', line.n);
	char label[NAME_MOST + 20] = "", buf[96], key_text[KEY_MOST + 1];

	if (s->section < SECTIONS)
		label_of(r, s->section, s->element, label, sizeof(label));
	if (equals == NULL)
		return line_wrong(s, label, NULL, "the line has no =; a line does not continue the one above");
	struct view key = trim((struct view){line.p, (size_t)(equals - line.p)});
	struct view value = without_comment((struct view){equals + 1, line.n - (size_t)(equals + 1 - line.p)});
	if (!consists_of(key, LOWER DIGITS "_", 1, KEY_MOST))
		return line_wrong(s, label, NULL, "a setting's name has to be lower case letters, digits and _");
	if (s->section == SECTIONS)
		return line_wrong(s, "", NULL, "a setting stands before the first section");
	const struct section *section = &sections[s->section];
	snprintf(key_text, sizeof(key_text), "%.*s", (int)key.n, key.p);
	size_t i = setting_find(section->kind, key);
	const char *instead = setting_moved(section->kind, key);
	if (instead != NULL)
		return line_wrong(s, label, key_text, "%s", instead);
	if (i == n_settings && (s->indented || !consists_of(key, LOWER "_", 1, SHOWN_MOST)))	/* perhaps the rest of a secret */
		return line_wrong(s, label, NULL, "this is not a setting; an indented line does not continue the one above");
	if (i == n_settings)
		return line_wrong(s, label, key_text, "is not a setting");
	struct place *place = &r->sections[s->section].elements[s->element].keys[i];
	if (place->line > 0 && place->file == s->file)
		return line_wrong(s, label, key_text, "is set in line %u already", place->line);
	*place = (struct place){s->file, s->line};
	((char *)(uintptr_t)value.p)[value.n] = '\0';
	const char *wrong = setting_store(&settings[i], section_element(r->config, section, s->element), value.p, buf);
	return wrong == NULL ? 0 : line_wrong(s, label, key_text, "%s", wrong);
}

static int
read_line(struct source *s, struct view line)
{
	if (line.n > LINE_MOST)
		return line_wrong(s, "", NULL, "the line is longer than %d bytes", LINE_MOST);
	if (line.n > 0 && line.p[line.n - 1] == '\r')
		line.n--;
	for (size_t i = 0; i < line.n; i++)
		if (((unsigned char)line.p[i] < ' ' && line.p[i] != '\t') || line.p[i] == '\x7F')
			return line_wrong(s, "", NULL, "the line holds a control character (%02X)", (unsigned char)line.p[i]);
	if (!utf8_is_valid(line))
		return line_wrong(s, "", NULL, "the line is not UTF-8");
	struct view text = trim(line);
	s->indented = line.n > 0 && text.p != line.p;
	if (text.n == 0 || *text.p == ';' || *text.p == '#')
		return 0;
	return *text.p == '[' ? read_header(s, text) : read_key(s, text);
}

/* ------- files */

int
reading_text(struct reading *r, const char *name, char *text, size_t n)
{
	struct source s = {.reading = r, .file = (unsigned)r->n_files, .section = SECTIONS};
	size_t at = 0;

	r->files = memory_resize(r->files, (r->n_files + 1) * sizeof(*r->files));
	r->files[r->n_files++] = memory_text(name, strlen(name));
	if (n >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0)
		at = 3;
	while (at < n) {
		const char *end = memchr(text + at, '\n', n - at);
		size_t length = end != NULL ? (size_t)(end - text) - at : n - at;
		s.line++;
		if (read_line(&s, (struct view){text + at, length}) != 0)
			return -1;
		at += length + 1;
	}
	return 0;
}

/* One buffer that never moves, and no stdio: nothing leaves a copy of a secret behind. */
int
reading_file(struct reading *r, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), result = -1;
	char *text = NULL;
	size_t n = 0;
	ssize_t got;

	if (fd < 0) {
		snprintf(r->error, r->error_size, "%s: cannot be read: %s", path, strerror(errno));
		return -1;
	}
	text = memory_new(FILE_MOST + 2);
	while ((got = read(fd, text + n, FILE_MOST + 1 - n)) > 0 || (got < 0 && errno == EINTR))
		n += got > 0 ? (size_t)got : 0;
	if (got < 0)
		snprintf(r->error, r->error_size, "%s: cannot be read: %s", path, strerror(errno));
	else if (n > FILE_MOST)
		snprintf(r->error, r->error_size, "%s: is larger than %d bytes", path, FILE_MOST);
	else
		result = reading_text(r, path, text, n);
	explicit_bzero(text, n);
	free(text);
	close(fd);
	return result;
}

static int
is_conf(const struct dirent *entry)
{
	size_t n = strlen(entry->d_name);

	return n > 5 && entry->d_name[0] != '.' && strcmp(entry->d_name + n - 5, ".conf") == 0;
}

static int
by_bytes(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

int
reading_folder(struct reading *r, const char *config_path)
{
	const char *slash = strrchr(config_path, '/');
	char *folder = NULL, *path = NULL;
	struct dirent **names = NULL;
	int result = 0;

	if (asprintf(&folder, "%.*sconf.d", slash != NULL ? (int)(slash + 1 - config_path) : 0, config_path) < 0)
		return snprintf(r->error, r->error_size, "conf.d: no memory"), -1;
	int n = scandir(folder, &names, is_conf, by_bytes);
	if (n < 0 && errno != ENOENT) {
		snprintf(r->error, r->error_size, "%s: cannot be read: %s", folder, strerror(errno));
		result = -1;
	}
	for (int i = 0; i < n; i++) {
		struct stat st;
		if (result == 0 && (result = asprintf(&path, "%s/%s", folder, names[i]->d_name) < 0 ? -1 : 0) == 0) {
			if (stat(path, &st) == 0 && !S_ISREG(st.st_mode))	/* opening a pipe would wait for its writer */
				result = (snprintf(r->error, r->error_size, "%s: cannot be read: not a file", path), -1);
			else
				result = reading_file(r, path);
			free(path);
		}
		free(names[i]);
	}
	free(names);
	free(folder);
	return result;
}

/* ------- life */

struct reading *
reading_new(struct config *c, char *error, size_t error_size)
{
	struct reading *r = memory_new(sizeof(*r));

	*r = (struct reading){.config = c, .error = error, .error_size = error_size};
	for (size_t i = 0; i < SECTIONS; i++)
		if (!sections[i].named)
			add_element(r, i, "");
	for (size_t i = 0; i < n_settings; i++)
		if (!sections[section_find(view_of(settings[i].section))].named)
			setting_store_default(&settings[i], c);
	return r;
}

void
reading_free(struct reading *r)
{
	for (size_t i = 0; i < SECTIONS; i++) {
		for (size_t k = 0; k < r->sections[i].n; k++)
			free(r->sections[i].elements[k].keys);
		free(r->sections[i].elements);
	}
	for (size_t i = 0; i < r->n_files; i++)
		free(r->files[i]);
	free(r->files);
	free(r);
}
