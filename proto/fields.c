/* The table of fields, and the one judge of them. */
#include "fields.h"

#include "utf8.h"

#define MOST(n) n, "is longer than " #n " bytes"
#define TEXT false, false
#define LINE true, false
#define ID true, true

static const struct field_limit limits[FIELDS] = {
	[FIELD_FACILITY] = {"facility", MOST(100), ID},
	[FIELD_VISIT_NO] = {"visit number", MOST(100), ID},
	[FIELD_PATIENT_NO] = {"patient number", MOST(200), ID},
	[FIELD_PATIENT_NAME] = {"patient's name", MOST(500), TEXT},
	[FIELD_SEX] = {"sex", MOST(20), TEXT},
	[FIELD_DEPARTMENT] = {"department", MOST(500), TEXT},
	[FIELD_LOCATION] = {"location", MOST(500), TEXT},
	/* a line's id may begin with MSH-10, which is kept as it was sent */
	[FIELD_SOURCE_LINE] = {"line's id", MOST(200), LINE},
	[FIELD_REVERSES] = {"id of the line to take back", MOST(200), LINE},
	[FIELD_CODE] = {"code", MOST(150), ID},
	[FIELD_NAME] = {"name", MOST(500), TEXT},
	[FIELD_NATIONAL_CODE] = {"national code", MOST(50), ID},
	[FIELD_PERFORMER] = {"performer", MOST(500), TEXT},
	[FIELD_ORDERER] = {"orderer", MOST(500), TEXT},
	[FIELD_ORDER_NO] = {"order number", MOST(200), ID},
	[FIELD_MESSAGE_ID] = {"message control id", MOST(199), LINE},	/* MSH-10 of HL7 2.7 */
	[FIELD_HEADER] = {"header field", MOST(250), TEXT},		/* any other of MSH */
	[FIELD_IDEMPOTENCY_KEY] = {"Idempotency-Key", MOST(200), ID},
	[FIELD_BILL] = {"bill", MOST(100), ID},
	[FIELD_PAYMENT] = {"payment", MOST(100), ID},
	[FIELD_RECEIPT] = {"receipt", MOST(100), ID},
	[FIELD_QUARANTINE] = {"quarantine entry", MOST(20), ID},
	[FIELD_LOOKALIKE] = {"pair of charges", MOST(20), ID},
	[FIELD_MERCHANT] = {"merchant", MOST(100), ID},
	[FIELD_FEED] = {"feed", MOST(60), ID},
	[FIELD_CHANNEL] = {"channel", MOST(40), LINE},
	[FIELD_WORD] = {"word", MOST(20), LINE},			/* of a list of ours: class, type, category, currency */
	[FIELD_TIME] = {"time", MOST(64), LINE},
};

const struct field_limit *
field_limit_of(enum field f)
{
	return &limits[f];
}

/* Which of eight bytes are below 20 or above 7E; where none is, the answer is 0. */
static inline uint64_t
odd_ones(uint64_t word)
{
	const uint64_t ones = UINT64_C(0x0101010101010101);

	return (word | (word - ones * 0x20) | (word + ones)) & ones * 0x80;
}

/* Printable ASCII and blanks alone, as nearly all texts are; eight bytes at a time, some twice where there are fewer at the end. n > 0. */
static inline bool
is_plain(const char *p, size_t n)
{
	uint64_t word, odd = 0;
	uint32_t first, last;

	if (n < 4)
		return odd_ones((unsigned char)p[0] | (uint64_t)(unsigned char)p[n / 2] << 8 | (uint64_t)(unsigned char)p[n - 1] << 16
		    | UINT64_C(0x2020202020000000)) == 0;
	if (n < 8) {
		memcpy(&first, p, 4);
		memcpy(&last, p + n - 4, 4);
		return odd_ones(first | (uint64_t)last << 32) == 0;
	}
	for (size_t i = 0; i + 8 < n; i += 8) {
		memcpy(&word, p + i, 8);
		odd |= odd_ones(word);
	}
	memcpy(&word, p + n - 8, 8);
	return (odd | odd_ones(word)) == 0;
}

/* C0, DEL, C1 (U+0080 to U+009F), and the line ends of Unicode (U+2028, U+2029), in valid UTF-8. */
static bool
holds_control(struct view v)
{
	const unsigned char *p = (const unsigned char *)v.p, *end = p + v.n;

	for (; p < end; p++) {
		if (*p >= 0x20 && *p < 0x7F)
			continue;
		if (*p <= 0x7F || (*p == 0xC2 && p[1] < 0xA0) || (*p == 0xE2 && p[1] == 0x80 && (p[2] == 0xA8 || p[2] == 0xA9)))
			return true;
	}
	return false;
}

const char *
field_text_complaint(enum field f, struct view v)
{
	const struct field_limit *l = &limits[f];

	if (v.n > l->most)
		return l->too_long;
	if (v.n == 0)
		return l->id ? "is empty" : NULL;
	if (is_plain(v.p, v.n) && !(l->id && (v.p[0] == ' ' || v.p[v.n - 1] == ' ')))
		return NULL;
	if (memchr(v.p, '\0', v.n) != NULL)
		return "holds a NUL";
	if (l->one_line && holds_control(v))
		return "holds a control character";
	if (l->id && view_trim(v).n != v.n)
		return view_trim(v).n == 0 ? "is empty" : "has blanks around it";
	return NULL;
}

const char *
field_complaint(enum field f, struct view v)
{
	if (v.n <= limits[f].most && !utf8_is_valid(v))
		return v.n > 0 && memchr(v.p, '\0', v.n) != NULL ? "holds a NUL" : "is not UTF-8 text";
	return field_text_complaint(f, v);
}
