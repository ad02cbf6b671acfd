/* The annotated sample file, by the table. */
#include <string.h>

#include "settings.h"

static const char head[] =
    "; visitbilld: every setting, with its default. Lines that begin with ; or # are comments, and so is what follows a blank and ; in a line.\n"
    "; A setting without a default is required. A time is 250ms, 5s, 10m or 2h; a size is a number of bytes, or one with K, M or G (of 1024).\n"
    "; The files of the folder conf.d beside this one, *.conf in the order of their names, are read after it; a later file's value wins.\n"
    "; SIGHUP reloads all of them; settings marked (restart) keep their old value until then. A name in a section's header is 1 to 60 letters,\n"
    "; digits, - _ or .\n";

static const char listen_example[] =
    ";   [listen mllp]\n"
    ";   address = 127.0.0.1:2575\n"
    ";   serves = mllp\n"
    ";   msh_identity = yes\n"
    ";\n"
    ";   [listen kiosks]\n"
    ";   address = 192.0.2.10:8443\n"
    ";   serves = kiosk desk\n"
    ";   tls = yes\n"
    ";   certificate = /etc/visitbill/server.pem\n"
    ";   key = /etc/visitbill/server.key\n";

static const char *
note_on(const char *kind)
{
	return strcmp(kind, "listen") == 0 ? "; as many of these as there are, at least one; to begin with, for example\n;\n" : "; as many of these as there are\n";
}

static void
print_header(FILE *out, const struct section *s)
{
	if (s->named)
		fprintf(out, "\n%s%s%s;[%s NAME]\n", note_on(s->kind), strcmp(s->kind, "listen") == 0 ? listen_example : "",
		    strcmp(s->kind, "listen") == 0 ? ";\n" : "", s->kind);
	else
		fprintf(out, "\n[%s]\n", s->kind);
}

void
config_print_sample(FILE *out)
{
	const char *kind = "";

	fputs(head, out);
	for (size_t i = 0; i < n_settings; i++) {
		const struct setting *s = &settings[i];
		const struct section *section = &sections[section_find(view_of(s->section))];
		if (strcmp(kind, s->section) != 0) {
			kind = s->section;
			print_header(out, section);
		}
		fprintf(out, "; %s%s\n%s%s =%s%s\n", s->help, s->reloadable ? "" : " (restart)", section->named || s->initial == NULL ? ";" : "", s->key,
		    s->initial != NULL && s->initial[0] != '\0' ? " " : "", s->initial != NULL ? s->initial : "");
	}
}
