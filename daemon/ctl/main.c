/* The command table, its help, and the way into a command. */
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl.h"
#include "quarantine_many.h"
#include "text.h"

struct command {
	const char *words;	/* one or two */
	const char *operands;
	const char *help;
	int (*run)(const struct ctl *c, int argc, char **argv);
	bool no_config;
};

#define DEFAULT_CONFIG "/etc/visitbill/visitbilld.conf"

static const struct command commands[] = {
	{"migrate", "", "bring the schema up to this binary: migrations, functions, grants; safe to run twice and at once", ctl_migrate, false},
	{"status", "[--json]", "database, schema, feeds, visits, payments, quarantine", ctl_status, false},
	{"visit show", "FACILITY VISIT_NO", "a visit with its bills, payments and history", ctl_visit_show, false},
	{"visit statement", "FACILITY VISIT_NO [--day YYYY-MM-DD] [--json]", "the daily list: a day's charges by category", ctl_visit_statement, false},
	{"bill show", "BILL [--qr TEXT] [--no-lines] [--color]", "an itemized bill; BILL is its id, FACILITY/BILL_NO or BILL_NO", ctl_bill_show, false},
	{"feed show", "NAME [--days N] [--json]",
	    "what a feed sent in the last 7 (1 to 31) days: messages by type and outcome, watermark, gaps in MSH-13, ids that came twice", ctl_feed_show, false},
	{"feed try", "FILE [--feed NAME] [--json]",
	    "how the running daemon would read messages, line by line, and answer them; nothing is booked. FILE: messages, a batch or MLLP frames, - for standard"
	    " input. NAME: read as that feed's, else as MSH-3 and MSH-4 say. Status 1 if one would be refused. VISITBILL_OPS_TOKEN as below", ctl_feed_try, false},
	{"quarantine list", "[--all] " QUARANTINE_FILTER " [--oldest] [--limit N] [--after ID]",
	    "what could not be booked and waits (--all: the resolved, too), the newest 100", ctl_quarantine_list, false},
	{"quarantine show", "ID [--full]", "one of them: the reason and the message, the place marked", ctl_quarantine_show, false},
	{"quarantine replay", "ID | " QUARANTINE_FILTER " [--dry-run] [--yes]",
	    "have the running daemon book one, or all that are meant, again; VISITBILL_OPS_TOKEN: a token of role ops or desk", ctl_quarantine_replay, false},
	{"quarantine dismiss", "ID | " QUARANTINE_FILTER " --why TEXT [--dry-run] [--yes]", "say that it needs no booking, and why", ctl_quarantine_dismiss, false},
	{"lookalike list", "[--all] [--json] [--limit N] [--after ID]",
	    "charges that look like duplicates (one patient, code, day, quantity and sign, another id) and wait (--all: those dismissed, too), the oldest 100", ctl_lookalike_list, false},
	{"lookalike dismiss", "ID --why TEXT", "say that it is none, or was put right, and why", ctl_lookalike_dismiss, false},
	{"token new", "NAME --role kiosk|desk|ops|feed --facilities \"CODE …\"|\"*\" [--feed NAME] [--expires 90d|YYYY-MM-DD]",
	    "make a token and print its secret, once; only its SHA-256 is kept (--feed: of role feed, whose facility is its feed's)", ctl_token_new, false},
	{"token list", "[--json]", "tokens of the database and of the settings file: role, scope, expiry, last use", ctl_token_list, false},
	{"token revoke", "NAME", "end a token; running daemons refuse it within seconds", ctl_token_revoke, false},
	{"items import", "FILE.csv [--facility CODE]", "price list rows, all or none; a row that is there is replaced", ctl_items_import, false},
	{"audit", "[--on primary|standby] [--slice VISITS] [--pause MS]",
	    "recompute every invariant of the books from the rows, 20000 visits at a time; status 1 if one is broken", ctl_audit, false},
	{"archive verify", "FILE …", "that files are whole and what the database has as archived; without a database against themselves", ctl_archive_verify, true},
	{"archive show", "FILE --visit FACILITY/VISIT_NO [--json]", "what a file has of a visit", ctl_archive_show, true},
	{"archive", "--before DATE [--to DIR] [--dry-run] [--yes]",
	    "which partitions have nothing open and nothing newer in them, and why others stay; --yes exports and drops them, as the schema's owner", ctl_archive, false},
	{"books", "[--json] [--audit [--slice VISITS] [--pause MS]] [--on primary|standby]",
	    "lines, bills, money, revenue, trial balance (--audit: and what the audit finds)", ctl_books, false},
	{"doctor", "", "look at settings, certificates, servers and the schema as the daemon would, and say what to mend", ctl_doctor, false},
	{"config check", "", "load the settings file and say what is wrong with it", ctl_config_check, true},
	{"config sample", "", "print an annotated settings file", ctl_config_sample, true},
};
enum { COMMANDS = sizeof(commands) / sizeof(commands[0]) };

static void
print_help(FILE *out)
{
	fprintf(out, "visitbillctl %s, the operator's tool of visitbill\n\nusage: visitbillctl [-c FILE] COMMAND …\n\n", VISITBILL_VERSION);
	for (size_t i = 0; i < COMMANDS; i++)
		fprintf(out, "  %s%s%s\n        %s\n", commands[i].words, commands[i].operands[0] != '\0' ? " " : "", commands[i].operands,
		    commands[i].help);
	fprintf(out, "\n  -c, --config FILE   the settings file (default %s)\n  -h, --help          this help; after a command its usage\n  -V, --version       the version\n"
	    "\nexit status: 0 done, 1 failed, 2 wrong usage\n", DEFAULT_CONFIG);
}

/* What is wrong may quote a file or a feed: shown as text_put_all shows it. */
static void
say(const char *format, va_list args)
{
	char *text = NULL;

	fflush(stdout);
	fputs("visitbillctl: ", stderr);
	if (vasprintf(&text, format, args) >= 0)
		text_put_all(stderr, view_of(text));
	putc('\n', stderr);
	free(text);
}

int
ctl_failed(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(format, args);
	va_end(args);
	return CTL_FAILED;
}

int
ctl_usage(const struct ctl *c, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(format, args);
	va_end(args);
	if (c->command != NULL)
		fprintf(stderr, "usage: visitbillctl %s %s\n", c->command->words, c->command->operands);
	return CTL_USAGE;
}

/* Takes an option and, where it has one, its value. Returns how many arguments it took, 0 when it is unknown or lacks its value. */
static int
take_option(int argc, char **argv, const struct ctl_option *options, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		size_t length = strlen(options[i].name);
		if (strncmp(argv[0], options[i].name, length) != 0)
			continue;
		if (options[i].flag != NULL && argv[0][length] == '\0') {
			*options[i].flag = true;
			return 1;
		}
		if (options[i].value != NULL && argv[0][length] == '=') {
			*options[i].value = argv[0] + length + 1;
			return 1;
		}
		if (options[i].value != NULL && argv[0][length] == '\0' && argc > 1) {
			*options[i].value = argv[1];
			return 2;
		}
	}
	return 0;
}

/* *ret_n: how many operands there were. */
static int
read_arguments(const struct ctl *c, int argc, char **argv, const struct ctl_option *options, size_t n_options, const char **operands, size_t most,
    size_t *ret_n)
{
	size_t n = 0;
	bool only_operands = false;

	for (int i = 0; i < argc; ) {
		if (!only_operands && strcmp(argv[i], "--") == 0) {
			only_operands = true;
			i++;
		} else if (!only_operands && argv[i][0] == '-' && argv[i][1] != '\0') {
			int used = take_option(argc - i, argv + i, options, n_options);
			if (used == 0)
				return ctl_usage(c, "%s is not an option here, or lacks its value", argv[i]);
			i += used;
		} else if (n == most) {
			return ctl_usage(c, "%s is one argument too many", argv[i]);
		} else {
			operands[n++] = argv[i++];
		}
	}
	*ret_n = n;
	return CTL_OK;
}

int
ctl_arguments(const struct ctl *c, int argc, char **argv, const struct ctl_option *options, size_t n_options, const char **operands,
    size_t n_operands)
{
	size_t n;

	if (read_arguments(c, argc, argv, options, n_options, operands, n_operands, &n) != CTL_OK)
		return CTL_USAGE;
	return n == n_operands ? CTL_OK : ctl_usage(c, "an argument is missing");
}

int
ctl_arguments_up_to(const struct ctl *c, int argc, char **argv, const struct ctl_option *options, size_t n_options, const char **operands,
    size_t n_operands)
{
	size_t n;

	return read_arguments(c, argc, argv, options, n_options, operands, n_operands, &n);
}

/* The command that the arguments begin with, and how many words it has. */
static const struct command *
find_command(int argc, char **argv, int *ret_words)
{
	for (size_t i = 0; i < COMMANDS; i++) {
		const char *blank = strchr(commands[i].words, ' ');
		size_t first = blank != NULL ? (size_t)(blank - commands[i].words) : strlen(commands[i].words);
		if (argc < (blank != NULL ? 2 : 1) || strlen(argv[0]) != first || memcmp(argv[0], commands[i].words, first) != 0
		    || (blank != NULL && strcmp(argv[1], blank + 1) != 0))
			continue;
		*ret_words = blank != NULL ? 2 : 1;
		return &commands[i];
	}
	return NULL;
}

static int
run(struct ctl *c, int argc, char **argv)
{
	int words, status;
	struct config *config = NULL;
	char error[512];

	c->command = find_command(argc, argv, &words);
	if (c->command == NULL && argc > 0)
		return ctl_usage(c, "%s%s%s is not a command; see visitbillctl -h", argv[0], argc > 1 ? " " : "", argc > 1 ? argv[1] : "");
	if (c->command == NULL) {
		print_help(stderr);
		return CTL_USAGE;
	}
	if (argc > words && (strcmp(argv[words], "-h") == 0 || strcmp(argv[words], "--help") == 0)) {
		printf("usage: visitbillctl %s %s\n%s\n", c->command->words, c->command->operands, c->command->help);
		return CTL_OK;
	}
	if (!c->command->no_config) {
		if ((config = config_load(c->config_path, error, sizeof(error))) == NULL)
			return ctl_failed("%s", error);
		c->config = config;
	}
	status = c->command->run(c, argc - words, argv + words);
	config_release(config);
	return status;
}

int
main(int argc, char **argv)
{
	struct ctl c = {.config_path = DEFAULT_CONFIG};
	static const struct option longer[] = {
		{"config", required_argument, NULL, 'c'}, {"help", no_argument, NULL, 'h'}, {"version", no_argument, NULL, 'V'}, {NULL, 0, NULL, 0},
	};
	int option;

	text_init();
	while ((option = getopt_long(argc, argv, "+c:hV", longer, NULL)) != -1) {
		if (option == 'c') {
			c.config_path = optarg;
		} else if (option == 'h') {
			print_help(stdout);
			return CTL_OK;
		} else if (option == 'V') {
			printf("visitbillctl %s\n", VISITBILL_VERSION);
			return CTL_OK;
		} else {
			fputs("see visitbillctl -h\n", stderr);
			return CTL_USAGE;
		}
	}
	int status = run(&c, argc - optind, argv + optind);
	if (fflush(stdout) != 0 && status == CTL_OK)
		return ctl_failed("cannot write the output");
	return status;
}
