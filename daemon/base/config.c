/* A snapshot's life: loaded, held, released, compared. */
#include "config.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "memory.h"
#include "settings.h"

static void
config_free(struct config *c)
{
	for (size_t i = 0; i < SECTIONS; i++) {
		const struct section *s = &sections[i];
		size_t n = section_count(c, s);
		for (size_t k = 0; k < n; k++) {
			char *element = section_element(c, s, k);
			for (size_t j = 0; j < n_settings; j++)
				if (strcmp(settings[j].section, s->kind) == 0)
					setting_clear(&settings[j], element);
			if (s->named)
				free(*(char **)(void *)element);
		}
		if (s->named)
			free(section_element(c, s, 0));
	}
	free(c);
}

/* Judges what was read, in a reading that ends here. result: of the reading. */
static struct config *
config_finish(struct reading *r, int result)
{
	struct config *c = r->config;

	if (result == 0)
		result = config_check(r);
	reading_free(r);
	if (result == 0)
		return c;
	config_release(c);
	return NULL;
}

static struct reading *
config_begin(char *error, size_t error_size)
{
	struct config *c = memory_new(sizeof(*c));

	c->references = 1;
	return reading_new(c, error, error_size);
}

struct config *
config_load(const char *path, char *error, size_t error_size)
{
	struct reading *r = config_begin(error, error_size);
	int result = reading_file(r, path);

	if (result == 0)
		result = reading_folder(r, path);
	return config_finish(r, result);
}

struct config *
config_parse_text(const char *name, struct view text, char *error, size_t error_size)
{
	struct reading *r = config_begin(error, error_size);
	char *copy = memory_text(text.p, text.n);
	int result = reading_text(r, name, copy, text.n);

	explicit_bzero(copy, text.n);
	free(copy);
	return config_finish(r, result);
}

const struct config *
config_hold(const struct config *c)
{
	((struct config *)(uintptr_t)c)->references++;
	return c;
}

void
config_release(const struct config *c)
{
	struct config *mine = (struct config *)(uintptr_t)c;

	if (mine != NULL && --mine->references == 0)
		config_free(mine);
}

/* ------- what a reload cannot change */

struct differences {
	char *buf;
	size_t size, n;
};

static void __attribute__((format(printf, 2, 3)))
add_difference(struct differences *d, const char *format, ...)
{
	va_list args;

	if (d->n + 1 >= d->size)
		return;
	if (d->n > 0)
		d->buf[d->n++] = ' ';
	va_start(args, format);
	int n = vsnprintf(d->buf + d->n, d->size - d->n, format, args);
	va_end(args);
	d->n = n < 0 ? d->n : d->n + (size_t)n;
}

static const char *
element_name(const struct config *c, const struct section *s, size_t i)
{
	return *(char **)section_element(c, s, i);
}

/* The element of the same name in another snapshot, or NULL. */
static const void *
element_named(const struct config *c, const struct section *s, const char *name)
{
	for (size_t i = 0; i < section_count(c, s); i++)
		if (strcmp(element_name(c, s, i), name) == 0)
			return section_element(c, s, i);
	return NULL;
}

/* prefix: "http.", "listen.feeds." */
static void
compare_elements(struct differences *d, const struct section *s, const char *prefix, const void *old, const void *fresh)
{
	for (size_t i = 0; i < n_settings; i++)
		if (strcmp(settings[i].section, s->kind) == 0 && !settings[i].reloadable && !setting_is_equal(&settings[i], old, fresh))
			add_difference(d, "%s%s", prefix, settings[i].key);
}

/* Of a kind whose elements a reload cannot add or take away: one that has a setting which needs a restart. */
static void
compare_named(struct differences *d, const struct section *s, const struct config *old, const struct config *fresh)
{
	char prefix[96];

	for (size_t i = 0; i < section_count(old, s); i++) {
		const char *name = element_name(old, s, i);
		const void *now = element_named(fresh, s, name);
		snprintf(prefix, sizeof(prefix), "%s.%s.", s->kind, name);
		if (now == NULL)
			add_difference(d, "%s.%s", s->kind, name);
		else
			compare_elements(d, s, prefix, section_element(old, s, i), now);
	}
	for (size_t i = 0; i < section_count(fresh, s); i++)
		if (element_named(old, s, element_name(fresh, s, i)) == NULL)
			add_difference(d, "%s.%s", s->kind, element_name(fresh, s, i));
}

static bool
needs_restart(const struct section *s)
{
	for (size_t i = 0; i < n_settings; i++)
		if (strcmp(settings[i].section, s->kind) == 0 && !settings[i].reloadable)
			return true;
	return false;
}

void
config_fixed_differences(const struct config *old, const struct config *fresh, char *buf, size_t size)
{
	struct differences d = {buf, size, 0};
	char prefix[32];

	buf[0] = '\0';
	for (size_t i = 0; i < SECTIONS; i++) {
		snprintf(prefix, sizeof(prefix), "%s.", sections[i].kind);
		if (sections[i].named && needs_restart(&sections[i]))
			compare_named(&d, &sections[i], old, fresh);
		else if (!sections[i].named)
			compare_elements(&d, &sections[i], prefix, old, fresh);
	}
}

void
config_keep_fixed(struct config *fresh, const struct config *old)
{
	for (size_t i = 0; i < n_settings; i++) {
		const struct setting *s = &settings[i];
		size_t section = section_find(view_of(s->section));
		if (s->reloadable || section == SECTIONS || sections[section].named)
			continue;
		if (setting_is_text(s)) {
			const char *text = setting_text(s, old);
			char **at = (char **)(void *)((char *)fresh + s->offset);
			memory_purge(*at);
			*at = memory_text(text, strlen(text));
		} else {
			memcpy((char *)fresh + s->offset, (const char *)old + s->offset, s->type == SETTING_BOOL ? sizeof(bool) : sizeof(int64_t));
		}
	}
}
