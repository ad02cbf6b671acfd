/* visitbillctl, the operator's tool: a command table (main.c) over one file a family of commands. Synchronous; nothing of the daemon runs in it. */
#ifndef VB_CTL_CTL_H
#define VB_CTL_CTL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/config.h"

enum ctl_exit { CTL_OK = 0, CTL_FAILED = 1, CTL_USAGE = 2 };

struct command;

struct ctl {
	const char *config_path;
	const struct config *config;	/* NULL for commands that need none */
	const struct command *command;	/* the one that runs, for its usage */
};

/* One line on stderr, "visitbillctl: …". Return CTL_FAILED and CTL_USAGE, for the caller to return. */
int ctl_failed(const char *format, ...) __attribute__((format(printf, 1, 2)));
int ctl_usage(const struct ctl *c, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* An option of a command: --json sets *flag, --limit N sets *value. */
struct ctl_option {
	const char *name;
	bool *flag;
	const char **value;
};

/* Reads a command's arguments (argv[0] is its first) into options and exactly n operands. Returns CTL_OK, or CTL_USAGE after having said what
 * is wrong. */
int ctl_arguments(const struct ctl *c, int argc, char **argv, const struct ctl_option *options, size_t n_options, const char **operands,
    size_t n_operands) __attribute__((warn_unused_result));

/* The same with n operands at most: those that are not there stay as they are. */
int ctl_arguments_up_to(const struct ctl *c, int argc, char **argv, const struct ctl_option *options, size_t n_options, const char **operands,
    size_t n_operands) __attribute__((warn_unused_result));

/* The commands: argv begins after the command's words. Each returns its exit status. */
int ctl_migrate(const struct ctl *c, int argc, char **argv);
int ctl_status(const struct ctl *c, int argc, char **argv);
int ctl_visit_show(const struct ctl *c, int argc, char **argv);
int ctl_visit_statement(const struct ctl *c, int argc, char **argv);
int ctl_bill_show(const struct ctl *c, int argc, char **argv);
int ctl_feed_show(const struct ctl *c, int argc, char **argv);
int ctl_feed_try(const struct ctl *c, int argc, char **argv);
int ctl_quarantine_list(const struct ctl *c, int argc, char **argv);
int ctl_quarantine_show(const struct ctl *c, int argc, char **argv);
int ctl_quarantine_replay(const struct ctl *c, int argc, char **argv);
int ctl_quarantine_dismiss(const struct ctl *c, int argc, char **argv);
int ctl_lookalike_list(const struct ctl *c, int argc, char **argv);
int ctl_lookalike_dismiss(const struct ctl *c, int argc, char **argv);
int ctl_token_new(const struct ctl *c, int argc, char **argv);
int ctl_token_list(const struct ctl *c, int argc, char **argv);
int ctl_token_revoke(const struct ctl *c, int argc, char **argv);
int ctl_items_import(const struct ctl *c, int argc, char **argv);
int ctl_audit(const struct ctl *c, int argc, char **argv);
int ctl_archive(const struct ctl *c, int argc, char **argv);
int ctl_archive_verify(const struct ctl *c, int argc, char **argv);
int ctl_archive_show(const struct ctl *c, int argc, char **argv);
int ctl_books(const struct ctl *c, int argc, char **argv);
int ctl_doctor(const struct ctl *c, int argc, char **argv);
int ctl_config_sample(const struct ctl *c, int argc, char **argv);
int ctl_config_check(const struct ctl *c, int argc, char **argv);

#endif
