#!/usr/bin/python3
"""Nobody sees beyond their scope: looks at the sources, and says where a statement could get to the database without the scope of who asks.

- each statement of daemon/db/statements.c is SCOPED, by a parameter of its SQL function that is called p_scope, or the daemon's OWN;
- the functions of the daemon's own are those that sql/README.md lists, no more and no fewer, and have no p_scope;
- a function with a p_scope looks at it, itself or by handing it on, and has no default for it;
- in_scope alone compares a scope with a facility;
- the scope of all facilities is said where the files below say why, and nowhere else in the daemon;
- no handler of daemon/api names a statement of the daemon's own, but those named below, which are nobody's data.
"""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
HANDLERS_MAY = {("ops.c", "STATUS_DOC")}       # figures of the whole, for operations
ALL_MAY = {
    "daemon/db/statements.h",       # what it is
    "daemon/intake/replay_ready.c",   # replays that the daemon begins itself
    "daemon/core/watch.c",          # one look for watchers who were shown their bill in a scope of their own
    "daemon/access/principal.c",    # a token that says all facilities in words
}
SCOPE = re.compile(r"\bp_scope\b")


def functions_of(folder):
    """name -> (names of the parameters that go in, the parameter list, the body)"""
    found = {}
    pattern = re.compile(r"create or replace function (\w+)\((.*?)\)\s*(?:returns|language)(.*?)\$\$(.*?)\$\$", re.S)
    for path in sorted(folder.glob("*.sql")):
        for name, parameters, _, body in pattern.findall(path.read_text("utf-8")):
            words = [re.sub(r"\(.*?\)", "", part).split() for part in parameters.split(",") if part.strip()]
            found[name] = [word[0] for word in words if word[0] != "out"], parameters, re.sub(r"--.*", "", body)
    return found


def statements_of(path):
    """name -> (position of the scope or 0, function, its arguments)"""
    found = {}
    for name, own, position, sql in re.findall(r"\[SQL_(\w+)\] = (?:(OWN)\(|SCOPED\((\d+), )((?:\s*\"[^\"]*\")+)\)", path.read_text("utf-8")):
        text = "".join(re.findall(r'"([^"]*)"', sql))
        call = re.search(r"(\w+)\(([^()]*)\)", text)
        found[name] = (0 if own else int(position)), call[1], [argument.strip() for argument in call[2].split(",") if argument.strip()]
    return found


def own_of(readme):
    """The functions that sql/README.md lists as the daemon's own: the backquoted words of the section's table."""
    section = re.search(r"^## The daemon's own$(.*?)(?=^## |\Z)", readme.read_text("utf-8"), re.M | re.S)
    return set(re.findall(r"`(\w+)`", "".join(re.findall(r"^\| (.*?) \|", section[1], re.M)))) if section else set()


def complaints():
    functions, statements = functions_of(ROOT / "sql/functions"), statements_of(ROOT / "daemon/db/statements.c")
    enum = re.search(r"enum statement \{(.*?)\}", (ROOT / "daemon/db/statements.h").read_text("utf-8"), re.S)
    listed = own_of(ROOT / "sql/README.md")

    for name in set(re.findall(r"\bSQL_(\w+)", enum[1])) - set(statements):
        yield f"SQL_{name} is neither SCOPED nor OWN in daemon/db/statements.c"
    for name, (position, function, arguments) in statements.items():
        if function not in functions:
            yield f"SQL_{name} calls {function}, which sql/functions does not have"
            continue
        parameters = functions[function][0]
        if position == 0:
            if "p_scope" in parameters:
                yield f"SQL_{name} is OWN, but {function} takes a scope"
            if function not in listed:
                yield f"{function} is the daemon's own by daemon/db/statements.c, but not by sql/README.md"
        elif [parameter for argument, parameter in zip(arguments, parameters) if argument == f"${position}"] != ["p_scope"]:
            yield f"SQL_{name}: ${position} is not the p_scope of {function}"
    for name in listed - {function for position, function, _ in statements.values() if position == 0}:
        yield f"sql/README.md lists {name} as the daemon's own, which no statement calls so"

    for name, (_, parameters, body) in functions.items():
        if name == "in_scope":
            continue
        # itself, by handing it on as the last argument, or in a statement that is put together
        uses = re.findall(r"\bin_scope\(p_scope,|\b\w+\([^()]*\bp_scope\)|in_scope\(\$\d+,[^;]*\busing\b[^;]*\bp_scope\b", body)
        if SCOPE.search(parameters) and not uses:
            yield f"{name} takes a scope and does not look at it"
        if re.search(r"p_scope text\[\]\s*(default|=)", parameters):
            yield f"{name}: a scope has no default"
        if len(SCOPE.findall(body)) != len(uses):
            yield f"{name} compares a scope by itself: in_scope does"

    for path in sorted((ROOT / "daemon").glob("*/*.[ch]")):
        name = str(path.relative_to(ROOT))
        if path.parent.name != "ctl" and name not in ALL_MAY and re.search(r'SCOPE_ALL|"\{\*\}"', path.read_text("utf-8")):
            yield f"{name} takes the scope of all facilities"
    for path in sorted((ROOT / "daemon/api").glob("*.c")):
        for name in re.findall(r"\bSQL_(\w+)", path.read_text("utf-8")):
            if statements.get(name, (0,))[0] == 0 and (path.name, name) not in HANDLERS_MAY:
                yield f"{path.relative_to(ROOT)} names SQL_{name}, which is the daemon's own"


def main():
    found = list(complaints())
    for text in found:
        print(f"scope: {text}", file=sys.stderr)
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
