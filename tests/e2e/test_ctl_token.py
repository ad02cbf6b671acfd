"""visitbillctl token: a secret that is printed once and kept as its SHA-256, by the owner of the schema; the list with the settings file's own."""

import hashlib
import json
import re

import pytest

from .cluster import OWNER, ROLE

pytest_plugins = ["e2e.cluster", "e2e.hospital"]

SECRET = re.compile(r"vb_[A-Za-z0-9_-]{43}\n")


@pytest.fixture(name="tokens", scope="module")
def _tokens(cluster, tmp_path_factory):
    """Migrated, with a feed that has a token and a second facility in the settings."""
    database = cluster.new_database(tmp_path_factory.mktemp("tokens"))
    database.ctl("migrate")
    conf = database.conf.read_text("utf-8").replace("[feed clinic]", "[facility H02]\nname = 二院\n\n[feed clinic]\ntoken = token-of-the-clinic-itself", 1)
    database.conf.write_text(conf, "utf-8")
    return database


def listed(database, name):
    (token,) = [token for token in json.loads(database.ctl("token", "list", "--json")) if token["name"] == name]
    return token


def test_a_new_token_is_its_hash(tokens):
    said = tokens.ctl("token", "new", "kiosk-1", "--role", "kiosk", "--facilities", " H01  H02 ")
    assert SECRET.fullmatch(said), said
    secret = said.strip()
    ((sha256, facilities, by),) = tokens.query("select sha256, facilities, created_by from api_token where name = 'kiosk-1'")
    assert bytes(sha256) == hashlib.sha256(secret.encode()).digest() and facilities == ["H01", "H02"] and by
    assert tokens.query("select sha256 from tokens_changed(0) where name = 'kiosk-1'", role=ROLE)[0][0] == sha256
    dump = str(tokens.query("select t::text from api_token t"))
    assert secret not in dump and secret[3:] not in dump and secret not in tokens.ctl("token", "list") + tokens.ctl("token", "list", "--json")


def test_no_two_secrets_are_alike(tokens):
    secrets = {tokens.ctl("token", "new", f"many-{n}", "--role=ops", "--facilities=*") for n in range(20)}
    assert len(secrets) == 20 and all(SECRET.fullmatch(secret) for secret in secrets)
    for place in range(3, 45):
        assert len({secret[place] for secret in secrets}) > 3


def test_all_facilities_have_to_be_said(tokens):
    assert "say which --facilities" in tokens.ctl("token", "new", "x", "--role", "desk", status=2)
    assert "say which --facilities" in tokens.ctl("token", "new", "x", "--role", "desk", "--facilities", " ", status=1)
    assert "no facility H09" in tokens.ctl("token", "new", "x", "--role", "desk", "--facilities", "H01 H09", status=1)
    assert "no facility *" in tokens.ctl("token", "new", "x", "--role", "desk", "--facilities", "H01 *", status=1)
    tokens.ctl("token", "new", "all-of-them", "--role", "desk", "--facilities", "*")
    assert listed(tokens, "all-of-them")["facilities"] == ["*"]
    assert tokens.query("select count(*) from api_token where name = 'x'") == [(0,)]


def test_a_feed_s_token_is_for_its_feed(tokens):
    tokens.ctl("token", "new", "ward-json", "--role", "feed", "--feed", "pharmacy")
    token = listed(tokens, "ward-json")
    assert (token["feed"], token["facilities"], token["role"]) == ("pharmacy", ["H01"], "feed")
    for wrong, said in ((["--role", "feed"], "say which --feed"), (["--role", "feed", "--feed", "nobody"], "no such feed"),
                        (["--role", "feed", "--feed", "pharmacy", "--facilities", "*"], "its feed's facility"),
                        (["--role", "kiosk", "--feed", "pharmacy", "--facilities", "H01"], "--feed is for")):
        assert said in tokens.ctl("token", "new", "x", *wrong, status=2)


@pytest.mark.parametrize("arguments, said", [
    (["x"], "say --role"), (["x", "--role", "root", "--facilities", "*"], "say --role"), (["a b", "--role", "ops", "--facilities", "*"], "a name has"),
    (["", "--role", "ops", "--facilities", "*"], "a name has"), (["n" * 65, "--role", "ops", "--facilities", "*"], "a name has"),
    (["ops", "--role", "ops", "--facilities", "*"], "the settings file has a token of that name"), ([], "an argument is missing"),
    (["x", "--role", "ops", "--facilities", "*", "--expires", "soon"], "neither days"), (["x", "--role", "ops", "--facilities", "*", "--expires", "2027-1-1"], "neither days"),
    (["x", "--role", "ops", "--facilities", "*", "--expires", "90"], "neither days"), (["x", "--role", "ops", "--facilities", "*", "--expires", "2001-01-01"], "is over"),
    (["x", "--role", "ops", "--facilities", "*", "--expires", "0d"], "is over"), (["x", "--role", "ops", "--facilities", "*", "--expires", "-1d"], "neither days"),
])
def test_what_is_refused(tokens, arguments, said):
    assert said in tokens.ctl("token", "new", *arguments, status=2)
    assert tokens.query("select count(*) from api_token where name = 'x'") == [(0,)]


def test_a_day_that_does_not_exist(tokens):
    assert "out of range" in tokens.ctl("token", "new", "x", "--role", "ops", "--facilities", "*", "--expires", "2127-02-30", status=1)


def test_expiry(tokens):
    """Days count from now; a date is the last day, by the hospital's clock."""
    tokens.ctl("token", "new", "by-days", "--role", "ops", "--facilities", "*", "--expires", "90d")
    tokens.ctl("token", "new", "by-date", "--role", "ops", "--facilities", "*", "--expires", "2127-01-31")
    assert tokens.query("select expires_at - now() between '89 d 23 h' and '90 d' from api_token where name = 'by-days'") == [(True,)]
    assert tokens.query("select expires_at = '2127-02-01 00:00:00+08' from api_token where name = 'by-date'") == [(True,)]
    assert listed(tokens, "by-date")["expires_at"] == "2127-02-01T00:00:00+08:00"


def test_revoked_once_and_for_ever(tokens):
    tokens.ctl("token", "new", "lost", "--role", "desk", "--facilities", "H01")
    assert tokens.ctl("token", "revoke", "lost") == "lost: revoked\n"
    assert listed(tokens, "lost")["state"] == "revoked" and listed(tokens, "lost")["revoked_by"]
    assert "revoked already" in tokens.ctl("token", "revoke", "lost", status=1)
    assert "no token nobody" in tokens.ctl("token", "revoke", "nobody", status=1)
    assert "is of the settings file" in tokens.ctl("token", "revoke", "ops", status=1)
    assert "its name stays its own" in tokens.ctl("token", "new", "lost", "--role", "desk", "--facilities", "H01", status=1)


def test_the_list_has_the_settings_file_s_own(tokens):
    for name, role, feed in (("ops", "ops", None), ("clinic", "feed", "clinic")):
        token = listed(tokens, name)
        assert (token["role"], token["feed"], token["kept"], token["plain"], token["state"], token["created_at"]) == (role, feed, "file", True, "active", None)
    tokens.ctl("token", "new", "listed", "--role", "kiosk", "--facilities", "H01")
    tokens.query("select tokens_used(array[token_id], array['2026-01-15 09:30:00+08'::timestamptz], array['10.0.0.7']) from api_token where name = 'listed'", role=ROLE)
    token = listed(tokens, "listed")
    assert (token["kept"], token["plain"], token["last_used_at"], token["last_peer"]) == ("database", False, "2026-01-15T09:30:00+08:00", "10.0.0.7")
    shown = tokens.ctl("token", "list")
    assert re.search(r"^ops +ops +\* +- +- +- +- +active +file +plain text in the file$", shown, re.M), shown
    assert re.search(r"^listed +kiosk +H01 +- +\S+ \S+ +- +2026-01-15 09:30 +active +database +SHA-256$", shown, re.M), shown
    assert "token-of-the-clinic" not in shown and "ops-token" not in shown


def test_the_owner_s_work(tokens):
    """With the daemon's role alone it cannot be done."""
    before = tokens.conf.read_text("utf-8")
    tokens.conf.write_text(re.sub("owner_conninfo = .*", "", before), "utf-8")
    try:
        assert "permission denied" in tokens.ctl("token", "new", "x", "--role", "ops", "--facilities", "*", status=1)
        assert "permission denied" in tokens.ctl("token", "revoke", "listed", status=1)
        tokens.ctl("token", "list")
    finally:
        tokens.conf.write_text(before, "utf-8")
    assert tokens.query("select rolname from pg_roles where oid = (select relowner from pg_class where oid = 'api_token'::regclass)") == [(OWNER,)]


def test_before_migrate(database):
    for command in (["new", "x", "--role", "ops", "--facilities", "*"], ["revoke", "x"], ["list"]):
        assert "run visitbillctl migrate" in database.ctl("token", *command, status=1)
