/* Times of the wire. Calendar arithmetic is the proleptic Gregorian one, days counted as in "days from civil". */
#include "timestamp.h"

#include "digits.h"

struct civil {
	int year, month, day, hour, minute, second, micro;
	bool has_offset;
	int offset;		/* seconds east */
};

static int64_t
days_from_civil(int year, int month, int day)
{
	int64_t y = month <= 2 ? year - 1 : year;
	int64_t era = (y >= 0 ? y : y - 399) / 400;
	int64_t yoe = y - era * 400;
	int64_t doy = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

	return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

static void
civil_from_days(int64_t days, int *year, int *month, int *day)
{
	int64_t z = days + 719468;
	int64_t era = (z >= 0 ? z : z - 146096) / 146097;
	int64_t doe = z - era * 146097;
	int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	int64_t mp = (5 * doy + 2) / 153;

	*day = (int)(doy - (153 * mp + 2) / 5 + 1);
	*month = (int)(mp < 10 ? mp + 3 : mp - 9);
	*year = (int)(yoe + era * 400 + (*month <= 2 ? 1 : 0));
}

/* Exactly n digits at the front. */
static int
take_digits(struct view *v, size_t n, int *ret)
{
	int value = 0;

	if (v->n < n)
		return -1;
	for (size_t i = 0; i < n; i++) {
		if (v->p[i] < '0' || v->p[i] > '9')
			return -1;
		value = value * 10 + (v->p[i] - '0');
	}
	v->p += n;
	v->n -= n;
	*ret = value;
	return 0;
}

static bool
take_char(struct view *v, char c)
{
	if (v->n == 0 || *v->p != c)
		return false;
	v->p++;
	v->n--;
	return true;
}

static int
take_fraction(struct view *v, int *ret_micro)
{
	int micro = 0, scale = 100000;
	bool any = false;

	while (v->n > 0 && *v->p >= '0' && *v->p <= '9') {
		micro += (*v->p - '0') * scale;
		scale /= 10;
		any = true;
		v->p++;
		v->n--;
	}
	*ret_micro = micro;
	return any ? 0 : -1;
}

static int
take_offset(struct view *v, struct civil *c)
{
	int hours, minutes;

	if (take_char(v, 'Z')) {
		c->has_offset = true;
		return 0;
	}
	bool west = v->n > 0 && *v->p == '-';
	if (!take_char(v, '+') && !take_char(v, '-'))
		return 0;
	if (take_digits(v, 2, &hours) != 0)
		return -1;
	take_char(v, ':');
	if (take_digits(v, 2, &minutes) != 0 || hours > 14 || minutes > 59)
		return -1;
	c->has_offset = true;
	c->offset = (hours * 3600 + minutes * 60) * (west ? -1 : 1);
	return 0;
}

static int
take_iso_time(struct view *v, struct civil *c)
{
	if (take_digits(v, 2, &c->hour) != 0 || !take_char(v, ':') || take_digits(v, 2, &c->minute) != 0)
		return -1;
	bool seconds = take_char(v, ':');
	if (seconds && take_digits(v, 2, &c->second) != 0)
		return -1;
	if (seconds && take_char(v, '.') && take_fraction(v, &c->micro) != 0)
		return -1;
	return take_offset(v, c);
}

static int
take_hl7_rest(struct view *v, struct civil *c)
{
	int *parts[] = {&c->month, &c->day, &c->hour, &c->minute, &c->second};

	size_t i;

	for (i = 0; i < 5 && v->n > 0 && *v->p >= '0' && *v->p <= '9'; i++)
		if (take_digits(v, 2, parts[i]) != 0)
			return -1;
	if (i == 5 && take_char(v, '.') && take_fraction(v, &c->micro) != 0)
		return -1;
	return take_offset(v, c);
}

static int
civil_parse(struct view text, struct civil *c)
{
	struct view v = view_trim(text);

	*c = (struct civil){.month = 1, .day = 1};
	if (v.n == 10 && v.p[2] == '/' && v.p[5] == '/') {	/* 01/15/2025 */
		if (take_digits(&v, 2, &c->month) != 0 || !take_char(&v, '/') || take_digits(&v, 2, &c->day) != 0
		    || !take_char(&v, '/') || take_digits(&v, 4, &c->year) != 0)
			return -1;
	} else if (take_digits(&v, 4, &c->year) != 0) {
		return -1;
	} else if (v.n >= 6 && v.p[0] == '-' && v.p[3] == '-') {	/* 2026-01-15; a DTM's offset is 5 characters */
		v.p++, v.n--;
		if (take_digits(&v, 2, &c->month) != 0 || !take_char(&v, '-') || take_digits(&v, 2, &c->day) != 0)
			return -1;
		if ((take_char(&v, 'T') || take_char(&v, ' ')) && take_iso_time(&v, c) != 0)
			return -1;
	} else if (take_hl7_rest(&v, c) != 0) {
		return -1;
	}
	if (v.n != 0 || c->year < 1 || c->month < 1 || c->month > 12 || c->day < 1 || c->hour > 24 || c->minute > 59
	    || c->second > 60 || (c->hour == 24 && (c->minute | c->second | c->micro) != 0))
		return -1;
	static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = (c->year % 4 == 0 && c->year % 100 != 0) || c->year % 400 == 0;
	return c->day > lengths[c->month - 1] + (c->month == 2 && leap ? 1 : 0) ? -1 : 0;
}

int
timestamp_parse(struct view text, int offset, int64_t *ret_us)
{
	struct civil c;

	if (civil_parse(text, &c) != 0)
		return -1;
	int64_t seconds = days_from_civil(c.year, c.month, c.day) * 86400 + c.hour * 3600 + c.minute * 60 + c.second
	    - (c.has_offset ? c.offset : offset);
	*ret_us = seconds * TIMESTAMP_SECOND + c.micro;
	return 0;
}

bool
timestamp_has_offset(struct view text, int *ret_offset)
{
	struct civil c;

	if (civil_parse(text, &c) != 0 || !c.has_offset)
		return false;
	*ret_offset = c.offset;
	return true;
}

int
timestamp_parse_date(struct view text, int32_t *ret_days)
{
	struct civil c;

	if (civil_parse(text, &c) != 0)
		return -1;
	*ret_days = (int32_t)days_from_civil(c.year, c.month, c.day);
	return 0;
}

/* By the form's letters: Y M D, h m s, z the offset's sign, H its hours, P its minutes; anything else stands for itself. */
static const char *
timestamp_format(int64_t us, int offset, char buf[TIMESTAMP_TEXT], const char *form)
{
	int64_t local = us / TIMESTAMP_SECOND - (us % TIMESTAMP_SECOND < 0 ? 1 : 0) + offset;
	int64_t days = local / 86400 - (local % 86400 < 0 ? 1 : 0);
	int rest = (int)(local - days * 86400);
	int year, month, day, minutes = (offset < 0 ? -offset : offset) / 60;
	char *to = buf;

	civil_from_days(days, &year, &month, &day);
	for (; *form != '\0'; form++) {
		int number = *form == 'Y' ? year : *form == 'M' ? month : *form == 'D' ? day : *form == 'h' ? rest / 3600 : *form == 'm' ? rest / 60 % 60
		    : *form == 's' ? rest % 60 : *form == 'H' ? minutes / 60 : *form == 'P' ? minutes % 60 : -1;
		if (number >= 0)
			to += digits_of((uint64_t)number, *form == 'Y' ? 4 : 2, to);
		else
			*to++ = *form == 'z' ? (offset < 0 ? '-' : '+') : *form;
	}
	*to = '\0';
	return buf;
}

const char *
timestamp_hl7(int64_t us, int offset, char buf[TIMESTAMP_TEXT])
{
	return timestamp_format(us, offset, buf, "YMDhmszHP");
}

const char *
timestamp_rfc3339(int64_t us, int offset, char buf[TIMESTAMP_TEXT])
{
	return timestamp_format(us, offset, buf, "Y-M-DTh:m:szH:P");
}
