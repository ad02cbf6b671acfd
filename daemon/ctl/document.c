/* json-c with NULL for what is not there. */
#include "document.h"

#include <string.h>

json_object *
document_of(const PGresult *r, const char *column)
{
	int c = PQfnumber(r, column);

	return c < 0 || PQntuples(r) == 0 || PQgetisnull(r, 0, c) ? NULL : json_tokener_parse(PQgetvalue(r, 0, c));
}

json_object *
document_member(json_object *o, const char *key)
{
	json_object *member = NULL;

	json_object_object_get_ex(o, key, &member);
	return member;
}

const char *
document_text(json_object *o, const char *key)
{
	json_object *member = document_member(o, key);

	return member != NULL ? json_object_get_string(member) : NULL;
}

const char *
document_join(json_object *array, char *buf, size_t size)
{
	size_t used = 0;

	buf[0] = '\0';
	for (size_t i = 0; array != NULL && i < json_object_array_length(array) && used < size; i++)
		used += (size_t)snprintf(buf + used, size - used, "%s%s", i > 0 ? " " : "", json_object_get_string(json_object_array_get_idx(array, i)));
	return buf;
}

void
document_print(json_object *o, FILE *out)
{
	fprintf(out, "%s\n", json_object_to_json_string_ext(o, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED | JSON_C_TO_STRING_NOSLASHESCAPE));
}

const char *
document_time(const char *iso, bool seconds, char buf[DOCUMENT_TIME])
{
	snprintf(buf, DOCUMENT_TIME, "%.*s", seconds ? 19 : 16, iso != NULL ? iso : "-");
	if (strlen(buf) > 10 && buf[10] == 'T')
		buf[10] = ' ';
	return buf;
}

const char *
document_word(const char *name)
{
	static const struct {
		const char *name, *word;
	} words[] = {
		{"bill", "账单"}, {"interim", "中期账单"}, {"supplement", "补充账单"}, {"credit_note", "退费单"}, {"void_note", "作废单"},
		{"wechatpay", "微信支付"}, {"cash", "现金"}, {"elsewhere", "其他窗口"},
		{"outpatient", "门诊"}, {"emergency", "急诊"}, {"inpatient", "住院"}, {"unknown", "未知"},
		{"open", "待付"}, {"settled", "已结清"}, {"void", "已作废"},
	};

	for (size_t i = 0; name != NULL && i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(words[i].name, name) == 0)
			return words[i].word;
	return name != NULL ? name : "-";
}
