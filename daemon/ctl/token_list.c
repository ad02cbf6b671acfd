/* token list: the tokens of the database and of the settings file, as one list. */
#include <stdio.h>

#include "ctl.h"
#include "database.h"
#include "document.h"
#include "table.h"

/* A JSON array, by name; $1: the same of the settings file's. */
static const char list_sql[] =
    "select coalesce(json_agg(json_build_object('name', name, 'role', role, 'facilities', facilities, 'feed', feed, 'created_at', iso_time(created_at),"
    "           'created_by', created_by, 'expires_at', iso_time(expires_at), 'last_used_at', iso_time(last_used_at), 'last_peer', last_peer,"
    "           'revoked_at', iso_time(revoked_at), 'revoked_by', revoked_by, 'state', state, 'kept', kept, 'plain', plain)"
    "        order by name, kept), '[]') as tokens"
    "  from (select *, 'database' as kept, false as plain from token_list()"
    "        union all"
    "        select f.name, f.role, string_to_array(f.facilities, ' '), f.feed, null, null, null, null, null, null, null, 'active', 'file', f.plain"
    "          from json_to_recordset($1) f (name text, role text, facilities text, feed text, plain boolean)) t";

static void
add_token(json_object *tokens, const char *name, const char *role, const char *facilities, const char *feed,
    const struct config_secret *secret)
{
	json_object *k = json_object_new_object();

	json_object_object_add(k, "name", json_object_new_string(name));
	json_object_object_add(k, "role", json_object_new_string(role));
	json_object_object_add(k, "facilities", json_object_new_string(facilities));
	json_object_object_add(k, "feed", feed != NULL ? json_object_new_string(feed) : NULL);
	json_object_object_add(k, "plain", json_object_new_boolean(secret->was_plain));
	json_object_array_add(tokens, k);
}

/* Those of the settings file: tokens, and the token of a feed, which is called as its feed. */
static json_object *
tokens_of_file(const struct config *config)
{
	json_object *tokens = json_object_new_array();

	for (size_t i = 0; i < config->n_tokens; i++) {
		const struct config_token *k = &config->tokens[i];
		add_token(tokens, k->name, k->role_name, k->facilities, NULL, &k->secret);
	}
	for (size_t i = 0; i < config->n_feeds; i++)
		if (config->feeds[i].secret.is_set)
			add_token(tokens, config->feeds[i].name, "feed", config->feeds[i].facility, config->feeds[i].name, &config->feeds[i].secret);
	return tokens;
}

static void
print_tokens(json_object *tokens)
{
	static const struct column columns[] = {
		{"name", TEXT_LEFT, false}, {"role", TEXT_LEFT, false}, {"facilities", TEXT_LEFT, true}, {"feed", TEXT_LEFT, false},
		{"created", TEXT_LEFT, false}, {"expires", TEXT_LEFT, false}, {"last used", TEXT_LEFT, false}, {"state", TEXT_LEFT, false},
		{"of", TEXT_LEFT, false}, {"secret", TEXT_LEFT, false},
	};
	struct table *t = table_new(columns, 10);
	char created[DOCUMENT_TIME], expires[DOCUMENT_TIME], used[DOCUMENT_TIME], facilities[1024];

	for (size_t i = 0; i < json_object_array_length(tokens); i++) {
		json_object *k = json_object_array_get_idx(tokens, i);
		table_add(t, (const char *[]){document_text(k, "name"), document_text(k, "role"),
		    document_join(document_member(k, "facilities"), facilities, sizeof(facilities)), document_text(k, "feed"),
		    document_time(document_text(k, "created_at"), false, created), document_time(document_text(k, "expires_at"), false, expires),
		    document_time(document_text(k, "last_used_at"), false, used), document_text(k, "state"),
		    document_text(k, "kept"), json_object_get_boolean(document_member(k, "plain")) ? "plain text in the file" : "SHA-256"});
	}
	if (table_rows(t) > 0)
		table_print(t, stdout, 0);
	else
		puts("there is no token");
	table_free(t);
}

int
ctl_token_list(const struct ctl *c, int argc, char **argv)
{
	bool json = false;
	const struct ctl_option options[] = {{"--json", &json, NULL}};

	if (ctl_arguments(c, argc, argv, options, 1, NULL, 0) != CTL_OK)
		return CTL_USAGE;
	json_object *file = tokens_of_file(c->config);
	const char *values[] = {json_object_to_json_string(file)};
	PGconn *db = database_open(c, DATABASE_READ);
	PGresult *r = db != NULL ? database_query(db, list_sql, 1, values) : NULL;
	json_object *tokens = r != NULL ? document_of(r, "tokens") : NULL;
	if (json && tokens != NULL)
		document_print(tokens, stdout);
	else if (tokens != NULL)
		print_tokens(tokens);
	int status = tokens != NULL ? CTL_OK : CTL_FAILED;
	json_object_put(tokens);
	PQclear(r);
	PQfinish(db);
	json_object_put(file);
	return status;
}
