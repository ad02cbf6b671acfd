/* What the files of the settings' room share: the table, one value's life, and what is known while files are read. Nobody outside of it includes this
 * but its tests. */
#ifndef VB_BASE_SETTINGS_H
#define VB_BASE_SETTINGS_H

#include "base/config.h"
#include "proto/view.h"

/* Text types come first: their field is a char *, never NULL. */
enum setting_type {
	SETTING_TEXT,
	SETTING_SECRET,		/* a text that is wiped, and in no error */
	SETTING_TOKEN,		/* a bearer token: its field is emptied at once, its hash is in the config_secret at `second` */
	SETTING_INT, SETTING_SIZE, SETTING_DURATION, SETTING_MONEY, SETTING_OFFSET,	/* int64_t: number, bytes, milliseconds, fen, seconds */
	SETTING_BOOL,
};

struct setting {
	const char *section;	/* "facility": a section with a name, [facility H01] */
	const char *key;
	enum setting_type type;
	size_t offset, second;
	const char *initial;	/* NULL: required */
	int64_t min, max;	/* of the numbers; max 0: none */
	bool reloadable;
	const char *help;
};

/* A kind of section. A kind with names is an array in struct config; each element begins with its name. */
struct section {
	const char *kind;
	bool named;
	size_t array, count, size;
};

enum { SECTIONS = 13 };
extern const struct section sections[SECTIONS];
extern const struct setting settings[];
extern const size_t n_settings;

/* SECTIONS, or n_settings, when there is none of that name. */
size_t section_find(struct view kind);
size_t setting_find(const char *section, struct view key);
/* A key that was a setting once: what to write instead, or NULL. */
const char *setting_moved(const char *section, struct view key);

size_t section_count(const struct config *c, const struct section *s);
/* The struct that the section's settings are in: the i-th element, or the config itself. */
void *section_element(const struct config *c, const struct section *s, size_t i);
/* A new element with its name and its defaults; returns its place in the array. */
size_t section_add(struct config *c, const struct section *s, const char *name);

/* ------- one value (settings_value.c); base: what section_element returns */

/* Stores it. Returns NULL, or what is wrong, without the value: words that follow the setting's name, in buf or static. */
const char *setting_store(const struct setting *s, void *base, const char *text, char buf[96]) __attribute__((warn_unused_result));
void setting_store_default(const struct setting *s, void *base);
void setting_clear(const struct setting *s, void *base);
bool setting_is_equal(const struct setting *s, const void *a, const void *b);
static inline bool
setting_is_text(const struct setting *s)
{
	return s->type <= SETTING_TOKEN;
}
const char *setting_text(const struct setting *s, const void *base);	/* of a text type */

/* ------- reading (config_read.c) */

/* Where a value or a section's first header was read; line 0: nowhere, it is the default. */
struct place {
	unsigned file, line;
};

struct element_places {
	struct place header;
	struct place *keys;		/* n_settings of them */
};

struct reading {
	struct config *config;
	char **files;
	size_t n_files;
	struct { struct element_places *elements; size_t n; } sections[SECTIONS];
	char *error;
	size_t error_size;
};

struct reading *reading_new(struct config *c, char *error, size_t error_size);
void reading_free(struct reading *r);
/* Each returns 0, or -1 with what is wrong in the error. */
int reading_file(struct reading *r, const char *path) __attribute__((warn_unused_result));
int reading_folder(struct reading *r, const char *config_path) __attribute__((warn_unused_result));	/* conf.d beside it; none is fine */
int reading_text(struct reading *r, const char *name, char *text, size_t n) __attribute__((warn_unused_result));	/* text is written to */

/* Says what is wrong with a setting of an element, or with its section where key is NULL, and where; returns -1. */
int reading_wrong(struct reading *r, const char *kind, size_t element, const char *key, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

/* ------- the whole (config_check.c, config_check_listen.c) */

/* Judges what was read and fills in what is told from it (serves, clients, role). Returns 0, or -1 with the error. */
int config_check(struct reading *r) __attribute__((warn_unused_result));
int config_check_listens(struct reading *r) __attribute__((warn_unused_result));
/* The next word of a text with blanks between words; an empty view at its end. */
struct view next_word(const char **text);

/* As config_load, of one file's text and without conf.d. name: the file's, for errors. */
struct config *config_parse_text(const char *name, struct view text, char *error, size_t error_size) __attribute__((warn_unused_result));

#endif
