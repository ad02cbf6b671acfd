/* The page of a bill: head, lines by category with subtotals, sums. Words are Chinese for the patient and English for the operator. */
#include "bill.h"

#include <string.h>

#include "document.h"
#include "proto/arena.h"
#include "text.h"

enum { DATE = 5, GAP = 2, LABEL = 16, AMOUNT_LEAST = 10, QUANTITY_MOST = 40 };

struct page {
	const struct bill_page *what;
	FILE *out;
	struct arena arena;
	int columns;
	int quantity, amount;	/* widths of those columns */
};

/* ---- rows: each exactly as wide as the page --------------------------------------------------------- */

static void
rule(const struct page *p, const char *character)
{
	text_repeat(p->out, character, p->columns);
	putc('\n', p->out);
}

static void
full_row(const struct page *p, const char *text, enum text_align align)
{
	text_put(p->out, view_of(text), p->columns, align);
	putc('\n', p->out);
}

/* Two labelled values; the second may be NULL. */
static void
pair_row(const struct page *p, const char *label, const char *value, const char *second_label, const char *second)
{
	int half = (p->columns - GAP) / 2;

	text_put(p->out, view_of(label), LABEL, TEXT_LEFT);
	text_put(p->out, view_of(value != NULL ? value : "-"), half - LABEL, TEXT_LEFT);
	text_repeat(p->out, " ", p->columns - 2 * half);
	text_put(p->out, view_of(second != NULL ? second_label : ""), LABEL, TEXT_LEFT);
	text_put(p->out, view_of(second != NULL ? second : ""), half - LABEL, TEXT_LEFT);
	putc('\n', p->out);
}

static void
line_row(const struct page *p, const char *date, const char *name, const char *quantity, const char *amount)
{
	text_repeat(p->out, " ", GAP);
	text_put(p->out, view_of(date), DATE, TEXT_LEFT);
	text_repeat(p->out, " ", GAP);
	text_put(p->out, view_of(name), p->columns - DATE - p->quantity - p->amount - 4 * GAP, TEXT_LEFT);
	text_repeat(p->out, " ", GAP);
	text_put(p->out, view_of(quantity), p->quantity, TEXT_RIGHT);
	text_repeat(p->out, " ", GAP);
	text_put(p->out, view_of(amount), p->amount, TEXT_RIGHT);
	putc('\n', p->out);
}

static void
sum_row(const struct page *p, int indent, const char *label, const char *amount)
{
	text_repeat(p->out, " ", indent);
	text_put(p->out, view_of(label), p->columns - indent - GAP - p->amount, TEXT_LEFT);
	text_repeat(p->out, " ", GAP);
	text_put(p->out, view_of(amount), p->amount, TEXT_RIGHT);
	putc('\n', p->out);
}

/* ---- the parts -------------------------------------------------------------------------------------- */

static const char *
bill_title(json_object *bill)
{
	static const char *const titles[][2] = {
		{"bill", "费用清单 itemized bill"}, {"interim", "中期费用清单 interim bill"}, {"supplement", "补充费用清单 supplementary bill"}, {"credit_note", "退费单 credit note"},
		{"void_note", "作废单 void note"},
	};
	const char *kind = document_text(bill, "kind");

	for (size_t i = 0; i < sizeof(titles) / sizeof(titles[0]); i++)
		if (strcmp(kind, titles[i][0]) == 0)
			return titles[i][1];
	return kind;
}

static const char *
time_of(struct page *p, json_object *o, const char *key)
{
	char buf[DOCUMENT_TIME];
	const char *iso = document_text(o, key);

	return iso != NULL ? arena_printf(&p->arena, "%s", document_time(iso, false, buf)) : NULL;
}

static void
print_head(struct page *p)
{
	json_object *bill = p->what->bill, *more = p->what->more, *patient = document_member(bill, "patient");
	const char *name = document_text(patient, "name"), *number = document_text(patient, "patient_no"), *state = document_text(bill, "state");
	const char *department = document_text(more, "department"), *voids = document_text(more, "voids"), *by = document_text(more, "voided_by");

	rule(p, "━");
	full_row(p, document_text(more, "hospital"), TEXT_CENTER);
	full_row(p, bill_title(bill), TEXT_CENTER);
	rule(p, "━");
	pair_row(p, "患者 Patient", arena_printf(&p->arena, "%s%s%s%s", name != NULL ? name : "-", number != NULL ? " (" : "",
	    number != NULL ? number : "", number != NULL ? ")" : ""), "账单号 Bill", document_text(bill, "bill_no"));
	pair_row(p, "就诊号 Visit", document_text(bill, "visit_no"), "状态 State", arena_printf(&p->arena, "%s %s", document_word(state), state));
	pair_row(p, "类别 Class", arena_printf(&p->arena, "%s%s%s", document_word(document_text(more, "class")), department != NULL ? " · " : "",
	    department != NULL ? department : ""), "开具 Issued", time_of(p, bill, "issued_at"));
	const char *from = time_of(p, more, "admitted_at"), *until = time_of(p, more, "discharged_at");
	pair_row(p, "到院 Admitted", from, "应付 Due", time_of(p, bill, "due_at"));
	if (until != NULL)
		pair_row(p, "离院 Left", until, NULL, NULL);
	if (voids != NULL)
		full_row(p, arena_printf(&p->arena, "本单作废账单 %s。 This note takes bill %s back.", voids, voids), TEXT_LEFT);
	if (by != NULL)
		full_row(p, arena_printf(&p->arena, "本账单已由 %s 作废。 This bill was taken back by note %s.", by, by), TEXT_LEFT);
}

/* A price has two decimals or more. */
static const char *
price_text(struct page *p, const char *price)
{
	const char *point = strchr(price, '.');

	return arena_printf(&p->arena, "%s%s", price, point == NULL ? ".00" : strlen(point) == 2 ? "0" : "");
}

/* -12 粒 × 0.1875: what is taken back is shown with a minus, as its amount is. */
static const char *
quantity_text(struct page *p, json_object *line)
{
	const char *quantity = document_text(line, "quantity"), *unit = document_text(line, "unit"), *amount = document_text(line, "amount");
	bool back = amount[0] == '-' && quantity[0] != '-' && strcmp(quantity, "0") != 0;

	return arena_printf(&p->arena, "%s%s%s%s × %s", back ? "-" : "", quantity, unit != NULL ? " " : "", unit != NULL ? unit : "",
	    price_text(p, document_text(line, "unit_price")));
}

static void
print_line(struct page *p, json_object *line)
{
	const char *kind = document_text(line, "kind"), *name = document_text(line, "name"), *at = document_text(line, "charged_at");
	const char *mark = strcmp(kind, "CD") == 0 ? "退 " : strcmp(kind, "AJ") == 0 ? "调 " : "";

	if (name == NULL)
		name = document_text(line, "code");
	line_row(p, at != NULL && strlen(at) > 10 ? arena_printf(&p->arena, "%.5s", at + 5) : "",
	    arena_printf(&p->arena, "%s%s", mark, name != NULL ? name : "-"), quantity_text(p, line), document_text(line, "amount"));
}

static const char *
subtotal_of(json_object *bill, const char *category)
{
	json_object *all = document_member(bill, "categories");

	for (size_t i = 0; i < json_object_array_length(all); i++) {
		json_object *c = json_object_array_get_idx(all, i);
		if (strcmp(document_text(c, "category"), category) == 0)
			return document_text(c, "amount");
	}
	return "0.00";
}

static void
print_category(struct page *p, json_object *category)
{
	const char *code = document_text(category, "category"), *name = document_text(category, "name");
	json_object *lines = document_member(p->what->bill, "lines");
	bool begun = false;

	if (lines == NULL) {
		const char *subtotal = subtotal_of(p->what->bill, code);
		if (strcmp(subtotal, "0.00") != 0)
			sum_row(p, GAP, arena_printf(&p->arena, "%s %s %s", code, name, document_text(category, "name_en")), subtotal);
		return;
	}
	for (size_t i = 0; i < json_object_array_length(lines); i++) {
		json_object *line = json_object_array_get_idx(lines, i);
		if (strcmp(document_text(line, "category"), code) != 0)
			continue;
		if (!begun)
			full_row(p, arena_printf(&p->arena, "%s %s %s", code, name, document_text(category, "name_en")), TEXT_LEFT);
		begun = true;
		print_line(p, line);
	}
	if (begun)
		sum_row(p, DATE + 2 * GAP, arena_printf(&p->arena, "小计 %s", name), subtotal_of(p->what->bill, code));
}

static void
print_lines(struct page *p)
{
	json_object *categories = document_member(p->what->more, "categories");

	rule(p, "─");
	if (document_member(p->what->bill, "lines") != NULL)
		line_row(p, "日期", "项目 Item", "数量 × 单价", "金额 Yuan");
	else
		sum_row(p, GAP, "类别 Category", "金额 Yuan");
	rule(p, "─");
	for (size_t i = 0; i < json_object_array_length(categories); i++)
		print_category(p, json_object_array_get_idx(categories, i));
	const char *file = document_text(document_member(p->what->bill, "lines_archived"), "file");
	if (file != NULL)
		full_row(p, arena_printf(&p->arena, "明细已归档 The lines are archived: %s", file), TEXT_LEFT);
}

/* What was paid, or set off against another bill, one by one under its sum. */
static void
print_parts(struct page *p, json_object *parts, const char *number_key, const char *number_word)
{
	for (size_t i = 0; i < json_object_array_length(parts); i++) {
		json_object *part = json_object_array_get_idx(parts, i);
		const char *channel = document_text(part, "channel"), *number = document_text(part, number_key);
		sum_row(p, 2 * GAP, arena_printf(&p->arena, "%s%s%s%s%s%s", time_of(p, part, "at"), channel != NULL ? "  " : "",
		    channel != NULL ? document_word(channel) : "", number != NULL ? "  " : "", number != NULL ? number_word : "",
		    number != NULL ? number : ""), document_text(part, "amount"));
	}
}

static void
print_sums(struct page *p)
{
	json_object *bill = p->what->bill, *more = p->what->more, *silent = document_member(bill, "silent_feeds");
	const char *credited = document_text(bill, "credited"), *live = document_text(bill, "in_progress");
	char feeds[512];

	rule(p, "─");
	sum_row(p, 0, "合计 Total", document_text(bill, "total"));
	sum_row(p, 0, "已付 Paid", document_text(bill, "paid"));
	print_parts(p, document_member(more, "payments"), "receipt_no", "收据 ");
	if (strcmp(credited, "0.00") != 0) {
		sum_row(p, 0, "抵扣 Credited", credited);
		print_parts(p, document_member(more, "credits"), "bill_no", "账单 ");
	}
	if (strcmp(live, "0.00") != 0)
		sum_row(p, 0, "支付中 In progress", live);
	sum_row(p, 0, "待付 Outstanding", document_text(bill, "outstanding"));
	rule(p, "━");
	if (silent == NULL || json_object_array_length(silent) == 0)
		return;
	document_join(silent, feeds, sizeof(feeds));
	full_row(p, arena_printf(&p->arena, "以下系统尚未报送完毕: %s", feeds), TEXT_LEFT);
	full_row(p, "Issued without them; what they report later comes on a supplementary bill.", TEXT_LEFT);
}

/* Columns as wide as this bill needs, so that names get the rest. */
static void
measure(struct page *p)
{
	json_object *lines = document_member(p->what->bill, "lines");
	int width = text_width(view_of(document_text(p->what->bill, "total")));

	p->quantity = text_width(view_of("数量 × 单价"));
	p->amount = width > AMOUNT_LEAST ? width : AMOUNT_LEAST;
	for (size_t i = 0; lines != NULL && i < json_object_array_length(lines); i++) {
		json_object *line = json_object_array_get_idx(lines, i);
		if ((width = text_width(view_of(quantity_text(p, line)))) > p->quantity)
			p->quantity = width < QUANTITY_MOST ? width : QUANTITY_MOST;
		if ((width = text_width(view_of(document_text(line, "amount")))) > p->amount)
			p->amount = width;
	}
}

void
bill_print(const struct bill_page *what, FILE *out)
{
	struct page p = {.what = what, .out = out, .columns = what->columns};

	arena_init(&p.arena, 4096);
	measure(&p);
	print_head(&p);
	print_lines(&p);
	print_sums(&p);
	arena_free(&p.arena);
}
