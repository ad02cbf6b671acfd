/* Settings' texts to a profile, word by word. What reads a text allocates as it likes: it runs when settings are loaded, never for a message. */
#include "profile.h"

#include <ctype.h>
#include <stdlib.h>

#include "proto/fields.h"

/* The next word of the rest, blanks between words; empty at the end. */
static struct view
next_word(struct view *rest)
{
	struct view word;

	*rest = view_trim(*rest);
	word = (struct view){rest->p, 0};
	while (word.n < rest->n && rest->p[word.n] != ' ' && rest->p[word.n] != '\t')
		word.n++;
	*rest = (struct view){rest->p + word.n, rest->n - word.n};
	return word;
}

static size_t
count_words(struct view text)
{
	size_t n = 0;

	while (next_word(&text).n > 0)
		n++;
	return n;
}

/* Words of a list of ours, each at most once, as their places in it; the number of them, 0 where one is none of the list. */
static size_t
read_choices(struct view text, const char *const *names, size_t n_names, unsigned *ret)
{
	size_t n = 0;

	for (struct view word; (word = next_word(&text)).n > 0;) {
		unsigned which = 0;
		while (which < n_names && !view_is(word, names[which]))
			which++;
		for (size_t i = 0; i < n && which < n_names; i++)
			if (ret[i] == which)
				which = (unsigned)n_names;
		if (which == n_names)
			return 0;
		ret[n++] = which;
	}
	return n;
}

static const char *const visit_fields[VISIT_FIELDS] = {[VISIT_PV1_19] = "PV1-19", [VISIT_PID_18] = "PID-18", [VISIT_PV1_50] = "PV1-50"};

/* "patient", or "patient CLASS", at the end; the text before it. */
static bool
read_patient_kind(struct hl7_profile *p, struct view *text)
{
	static const struct { const char *class, *kind; } kinds[] = {
		{"", PATIENT_KIND}, {"outpatient", PATIENT_KIND "/outpatient"}, {"emergency", PATIENT_KIND "/emergency"}, {"inpatient", PATIENT_KIND "/inpatient"},
	};
	struct view rest = *text, word;

	while ((word = next_word(&rest)).n > 0 && !view_is(word, "patient"))
		;
	if (word.n == 0)
		return true;
	struct view class = next_word(&rest);
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]) && p->patient_kind == NULL; i++)
		if (view_is(class, kinds[i].class))
			p->patient_kind = kinds[i].kind;
	text->n = (size_t)(word.p - text->p);
	return p->patient_kind != NULL && next_word(&rest).n == 0;
}

static bool
read_visit_no(struct hl7_profile *p, struct view text)
{
	unsigned which[VISIT_FIELDS];

	if (!read_patient_kind(p, &text))
		return false;
	p->visit_missing = "no visit number; lines alone go by the patient";
	if (p->patient_kind != NULL && count_words(text) == 0)
		return true;
	p->n_visit_no = read_choices(text, visit_fields, VISIT_FIELDS, which);
	for (size_t i = 0; i < p->n_visit_no; i++) {
		p->visit_no[i] = (enum hl7_visit_field)which[i];
		p->visit_missing = arena_printf(&p->arena, "%s %s", i > 0 ? arena_printf(&p->arena, "%s nor in", p->visit_missing) : "no visit number in",
		    visit_fields[which[i]]);
	}
	return p->n_visit_no > 0;
}

static bool
read_patient_no(struct hl7_profile *p, struct view text)
{
	struct view how = next_word(&text);

	p->patient_word = next_word(&text);
	p->patient_by = view_is(how, "type") ? PATIENT_BY_TYPE : view_is(how, "authority") ? PATIENT_BY_AUTHORITY : PATIENT_BY_PLACE;
	if (next_word(&text).n > 0)
		return false;
	return p->patient_by != PATIENT_BY_PLACE ? p->patient_word.n > 0 : view_is(how, "first") && p->patient_word.n == 0;
}

/* MSH-10 and FT1-1 are always there: nothing can follow them. */
static bool
read_line_id(struct hl7_profile *p, struct view text)
{
	static const char *const names[LINE_IDS] = {[LINE_ID_FT1_2] = "FT1-2", [LINE_ID_FT1_23] = "FT1-23", [LINE_ID_BY_MESSAGE] = "MSH-10/FT1-1"};
	unsigned which[LINE_IDS];

	p->n_line_id = read_choices(text, names, LINE_IDS, which);
	for (size_t i = 0; i < p->n_line_id; i++) {
		p->line_id[i] = (enum hl7_line_id)which[i];
		if (p->line_id[i] == LINE_ID_BY_MESSAGE && i + 1 < p->n_line_id)
			return false;
	}
	return p->n_line_id > 0;
}

static bool
read_code(struct hl7_profile *p, struct view text)
{
	static const char *const names[] = {"FT1-7", "FT1-25"};
	static const unsigned fields[] = {7, 25};
	unsigned which[2];

	p->n_code = read_choices(text, names, 2, which);
	for (size_t i = 0; i < p->n_code; i++)
		p->code[i] = fields[which[i]];
	return p->n_code > 0;
}

static bool
read_negative(struct hl7_profile *p, struct view text)
{
	p->negative_is_credit = view_is(text, "credit");
	return p->negative_is_credit || view_is(text, "refuse");
}

static bool
read_currencies(struct hl7_profile *p, struct view text)
{
	size_t n = count_words(text);
	struct view *words = arena_alloc(&p->arena, (n + 1) * sizeof(*words));

	for (size_t i = 0; i < n; i++)
		if ((words[i] = next_word(&text)).n > 10)
			return false;
	p->currencies = words;
	p->n_currencies = n;
	return n > 0;
}

static int
compare_views(struct view a, struct view b)
{
	size_t n = a.n < b.n ? a.n : b.n;
	int order = n > 0 ? memcmp(a.p, b.p, n) : 0;

	return order != 0 ? order : (a.n > b.n) - (a.n < b.n);
}

static int
compare_codes(const void *a, const void *b)
{
	const struct hl7_map_code *x = a, *y = b;

	return compare_views(x->from, y->from);
}

/* Words FROM=TO, each FROM once; TO is a word of the list, where there is one. */
static bool
read_map(struct hl7_profile *p, struct view text, const char *const *targets, struct hl7_map *ret)
{
	size_t n = count_words(text);
	struct hl7_map_code *codes = arena_alloc(&p->arena, (n + 1) * sizeof(*codes));

	for (size_t i = 0; i < n; i++) {
		struct view word = next_word(&text);
		const char *equals = memchr(word.p, '=', word.n);
		if (equals == NULL || equals == word.p || equals + 1 == word.p + word.n)
			return false;
		codes[i].from = (struct view){word.p, (size_t)(equals - word.p)};
		codes[i].to = (struct view){equals + 1, word.n - codes[i].from.n - 1};
		size_t k = 0;
		while (targets != NULL && targets[k] != NULL && !view_is(codes[i].to, targets[k]))
			k++;
		if (targets != NULL ? targets[k] == NULL : field_complaint(FIELD_DEPARTMENT, codes[i].to) != NULL)
			return false;
	}
	qsort(codes, n, sizeof(*codes), compare_codes);
	for (size_t i = 1; i < n; i++)
		if (view_equal(codes[i - 1].from, codes[i].from))
			return false;
	*ret = (struct hl7_map){codes, n};
	return true;
}

static bool
read_types(struct hl7_profile *p, struct view text)
{
	static const char *const types[] = {"CG", "CD", "AJ", "PY", "CO", NULL};

	return read_map(p, text, types, &p->types);
}

static bool
read_classes(struct hl7_profile *p, struct view text)
{
	static const char *const classes[] = {"outpatient", "emergency", "inpatient", NULL};

	return read_map(p, text, classes, &p->classes);
}

static bool
read_sexes(struct hl7_profile *p, struct view text)
{
	static const char *const sexes[] = {"M", "F", "O", "U", "A", "N", NULL};	/* table 0001 */

	return read_map(p, text, sexes, &p->sexes);
}

static bool
read_departments(struct hl7_profile *p, struct view text)
{
	return read_map(p, text, NULL, &p->departments);
}

static bool
read_a40(struct hl7_profile *p, struct view text)
{
	p->a40_visits = view_is(text, "visits");
	return p->a40_visits || view_is(text, "patients");
}

/* A type, or a type and an event, of three letters or digits each. */
static bool
is_type(struct view word)
{
	if (word.n != 3 && !(word.n == 7 && word.p[3] == '^'))
		return false;
	for (size_t i = 0; i < word.n; i++)
		if (i != 3 && !isupper((unsigned char)word.p[i]) && !isdigit((unsigned char)word.p[i]))
			return false;
	return true;
}

static bool
read_ignore(struct hl7_profile *p, struct view text)
{
	size_t n = count_words(text);
	struct view *words = arena_alloc(&p->arena, (n + 1) * sizeof(*words));

	for (size_t i = 0; i < n; i++)
		if (!is_type(words[i] = next_word(&text)))
			return false;
	p->ignore = words;
	p->n_ignore = n;
	return true;
}

static const struct {
	const char *key;
	bool (*read)(struct hl7_profile *p, struct view text);
	const char *complaint;
} keys[PROFILE_KEYS] = {
	[PROFILE_VISIT_NO] = {"visit_no", read_visit_no, "has to be some of PV1-19, PID-18 and PV1-50, in the order in which they are looked at, then perhaps patient, or patient and a class"},
	[PROFILE_PATIENT_NO] = {"patient_no", read_patient_no, "has to be first, type and an identifier type, or authority and an assigning authority"},
	[PROFILE_LINE_ID] = {"line_id", read_line_id, "has to be FT1-2, FT1-23 or MSH-10/FT1-1, or some of them in order, MSH-10/FT1-1 last"},
	[PROFILE_CODE] = {"code", read_code, "has to be FT1-7, FT1-25, or both in order"},
	[PROFILE_NEGATIVE] = {"negative", read_negative, "has to be refuse or credit"},
	[PROFILE_CURRENCIES] = {"currencies", read_currencies, "has to be codes of 10 bytes at most, blanks between, at least one"},
	[PROFILE_TYPES] = {"types", read_types, "has to be words FROM=TO, each FROM once and TO one of CG CD AJ PY CO"},
	[PROFILE_CLASSES] = {"classes", read_classes, "has to be words FROM=TO, each FROM once and TO one of outpatient emergency inpatient"},
	[PROFILE_SEXES] = {"sexes", read_sexes, "has to be words FROM=TO, each FROM once and TO one of M F O U A N"},
	[PROFILE_DEPARTMENTS] = {"departments", read_departments, "has to be words FROM=TO, each FROM once"},
	[PROFILE_A40] = {"a40", read_a40, "has to be patients or visits"},
	[PROFILE_IGNORE] = {"ignore", read_ignore, "has to be message types such as ORU or ADT^A60, blanks between"},
};

const char *
hl7_profile_key(enum hl7_profile_key key)
{
	return keys[key].key;
}

const char *
hl7_profile_complaint(enum hl7_profile_key key, const char *text)
{
	struct hl7_profile scratch = {.n_visit_no = 0};
	const char *complaint;

	complaint = keys[key].read(&scratch, view_trim(view_of(text))) ? NULL : keys[key].complaint;
	arena_free(&scratch.arena);
	return complaint;
}

struct hl7_profile *
hl7_profile_new(const char *const texts[PROFILE_KEYS])
{
	struct arena a;

	arena_init(&a, 2048);
	struct hl7_profile *p = arena_alloc(&a, sizeof(*p));
	p->arena = a;
	for (int i = 0; i < PROFILE_KEYS; i++) {
		struct view text = arena_copy(&p->arena, texts[i], strlen(texts[i]));
		if (!keys[i].read(p, view_trim(text)))
			abort();	/* it was judged when the settings were read */
	}
	return p;
}

void
hl7_profile_free(struct hl7_profile *p)
{
	if (p == NULL)
		return;
	struct arena a = p->arena;	/* the profile lies in it */
	arena_free(&a);
}

const struct hl7_profile *
hl7_profile_usual(void)
{
	static const struct view yuan[] = {{"CNY", 3}, {"RMB", 3}};
	static const struct hl7_profile usual = {
		.visit_no = {VISIT_PV1_19, VISIT_PID_18}, .n_visit_no = 2, .visit_missing = "no visit number in PV1-19 nor in PID-18",
		.line_id = {LINE_ID_FT1_2}, .n_line_id = 1, .code = {7}, .n_code = 1, .currencies = yuan, .n_currencies = 2,
	};

	return &usual;
}

struct view
hl7_map_find(const struct hl7_map *map, struct view code)
{
	size_t low = 0, high = map->n;

	while (low < high && code.n > 0) {
		size_t middle = (low + high) / 2;
		int order = compare_views(code, map->codes[middle].from);
		if (order == 0)
			return map->codes[middle].to;
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return code;
}

bool
hl7_profile_numbers(const struct hl7_profile *p, enum hl7_visit_field field)
{
	for (size_t i = 0; i < p->n_visit_no; i++)
		if (p->visit_no[i] == field)
			return true;
	return false;
}

bool
hl7_profile_ignores(const struct hl7_profile *p, const struct hl7_header *h)
{
	for (size_t i = 0; i < p->n_ignore; i++) {
		struct view type = {p->ignore[i].p, 3};
		if (view_equal(h->type, type) && (p->ignore[i].n == 3 || view_equal(h->event, (struct view){type.p + 4, 3})))
			return true;
	}
	return false;
}
