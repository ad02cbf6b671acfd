/* Settings: any text is taken, or refused with a reason; what is taken keeps its promises, and a second reading of it says the same. An input is one
 * file's text. */
#include "fuzz.h"

#include "base/settings.h"

static void
check_promises(const struct config *c)
{
	for (size_t i = 0; i < SECTIONS; i++)
		for (size_t k = 0; k < section_count(c, &sections[i]); k++) {
			const char *element = section_element(c, &sections[i], k);
			for (size_t j = 0; j < n_settings; j++) {
				const struct setting *s = &settings[j];
				if (strcmp(s->section, sections[i].kind) != 0)
					continue;
				if (setting_is_text(s)) {
					FUZZ_CHECK(setting_text(s, element) != NULL);
					FUZZ_CHECK(s->initial != NULL || setting_text(s, element)[0] != '\0');
					FUZZ_CHECK(s->type != SETTING_TOKEN || setting_text(s, element)[0] == '\0');
				} else if (s->max > 0) {
					int64_t n;
					memcpy(&n, element + s->offset, sizeof(n));
					FUZZ_CHECK(n >= s->min && n <= s->max);
				}
			}
		}
	FUZZ_CHECK(c->n_listens > 0 && c->limits.strangers_bytes <= c->limits.memory_bytes && c->mllp.frame_bytes <= c->limits.memory_bytes);
	for (size_t i = 0; i < c->n_listens; i++) {
		const struct config_listen *l = &c->listens[i];
		FUZZ_CHECK(l->serves == SERVES_MLLP || l->serves == SERVES_MLLP2 || (l->serves != 0 && (l->serves & ~(unsigned)SERVES_HTTP) == 0));
		FUZZ_CHECK(!l->tls || (l->certificate[0] != '\0' && l->key[0] != '\0'));
		FUZZ_CHECK(l->clients == CLIENTS_NONE || l->client_ca[0] != '\0');
	}
	for (size_t i = 0; i < c->n_tokens; i++)
		FUZZ_CHECK(c->tokens[i].secret.is_set || c->tokens[i].certificate[0] != '\0');
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char error[512] = "", again[512] = "", differences[256];

	if (size > 65536 + 4096)
		return 0;
	char *bytes = fuzz_copy(data, size);
	struct view text = {bytes, size};
	struct config *c = config_parse_text("t", text, error, sizeof(error)), *d = config_parse_text("t", text, again, sizeof(again));
	FUZZ_CHECK((c == NULL) == (d == NULL) && (c == NULL) == (error[0] != '\0') && strcmp(error, again) == 0);
	if (c == NULL) {
		FUZZ_CHECK(error[0] == 't' && error[1] == ':');
	} else {
		check_promises(c);
		config_fixed_differences(c, d, differences, sizeof(differences));
		FUZZ_CHECK(differences[0] == '\0');
		config_release(config_hold(c));
	}
	config_release(c);
	config_release(d);
	free(bytes);
	return 0;
}
