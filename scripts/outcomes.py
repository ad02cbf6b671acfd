#!/usr/bin/python3
"""One list of outcomes: looks at the sources, and says where SQL and C do not know the same.

- the SQL function outcomes() lists what enum outcome of proto/outcome.h has, is_done where the enum says so;
- each has its name in proto/outcome.c and, unless it is done, a row in proto/reason.c;
- each function that gives outcomes gives only these, and each of these is given by one;
- each function that returns text and says it in words is known here: it gives outcomes, or its words are something else.
"""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
# besides those whose column is called outcome or outcomes
GIVE = {
    "items_keep", "visit_event_one", "visit_events", "visit_move", "visit_merge", "charges_judge", "capture_elsewhere", "quarantine_end", "quarantine_resolve",
    "quarantine_supersede",
}
GIVE_OTHER_WORDS = {
    "visit_named",                  # kinds of numbers
    "line_warning", "visit_flags",  # what is odd about a line, a visit
    "token_new", "token_revoke",    # what became of a token: visitbillctl's own
}
# words that stand where an outcome could, and are none: states, and the name of a feed that is not known
OTHER_WORDS = {
    ("payment_capture", "settled"), ("payment_captures", "settled"), ("payment_pending", "pending"), ("quarantine_summary", "unknown"),
    ("lookalike_list", "waiting"), ("lookalike_list", "dismissed"),
}


def text_of(path):
    return (ROOT / path).read_text("utf-8")


def enum_of():
    """name -> is it done; without those that only the daemon says"""
    body = re.search(r"enum outcome \{(.*?)\n\};", text_of("proto/outcome.h"), re.S)[1]
    found, is_done = {}, None
    for comment, name in re.findall(r"/\*(.*?)\*/|\bOUTCOME_(\w+)", body, re.S):
        if "no word of the database" in comment:
            break
        if comment and "is done" in comment:
            is_done = True
        elif comment and "it is not" in comment:
            is_done = False
        if name and name != "NONE":
            found[name.lower()] = is_done
    return found


def listed():
    body = re.search(r"create or replace function outcomes\(\).*?\$\$(.*?)\$\$", text_of("sql/functions/01_text.sql"), re.S)[1]
    return {name: said == "true" for said, names in re.findall(r"select name, (true|false) from unnest\(array\[(.*?)\]\)", body, re.S)
            for name in re.findall(r"'(\w+)'", names)}


def functions():
    """name -> (what stands before the body, the body)"""
    pattern = re.compile(r"create or replace function (\w+)(\(.*?)\bas \$\$(.*?)\$\$", re.S)
    for path in sorted((ROOT / "sql/functions").glob("*.sql")):
        for name, head, body in pattern.findall(path.read_text("utf-8")):
            yield name, head, re.sub(r"--.*", "", body)


def words_of(body):
    """Those that stand where a result does: returned, assigned to an outcome, or what a case chooses."""
    before = r"\breturn|\breturn query\s+select|\bthen|\belse|outcomes?(?:\[[^\]]*\])?\s*:=|outcome text :=|\bcoalesce\([^()]*,"
    return set(re.findall(rf"(?:{before})\s*'([a-z_]+)'", body))


def complaints():
    enum, sql = enum_of(), listed()
    names = dict(re.findall(r'\[OUTCOME_(\w+)\] = "(\w+)"', text_of("proto/outcome.c")))
    rows = set(re.findall(r'^\t\{"(\w+)", ', text_of("proto/reason.c"), re.M))
    given = set()

    for name in sorted(set(enum) ^ set(sql)):
        yield f"{name} is known to {'proto/outcome.h' if name in enum else 'the SQL function outcomes()'} alone"
    for name in sorted(set(enum) & set(sql)):
        if enum[name] != sql[name]:
            yield f"{name} is done by one of proto/outcome.h and the SQL function outcomes(), and not by the other"
    for name in sorted(enum):
        if names.get(name.upper()) != name:
            yield f"{name} has another name in proto/outcome.c, or none"
        if not enum[name] and name not in rows:
            yield f"{name} has no row in proto/reason.c"

    for name, head, body in functions():
        if name == "outcomes":
            continue
        gives = name in GIVE or re.search(r"\bout outcomes? |returns table \([^)]*\boutcome text", head)
        words = {word for word in words_of(body) if (name, word) not in OTHER_WORDS}
        if gives:
            given |= words
            for word in sorted(words - set(sql)):
                yield f"{name} gives {word}, which the SQL function outcomes() does not list"
        elif re.search(r"\breturns text\b", head) and name not in GIVE_OTHER_WORDS and words:
            yield f"{name} returns {', '.join(sorted(words))}: say in scripts/outcomes.py whether these are outcomes"
    for name in sorted(set(sql) - given):
        yield f"no function gives {name}"


def main():
    found = list(complaints())
    for text in found:
        print(f"outcome: {text}", file=sys.stderr)
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
