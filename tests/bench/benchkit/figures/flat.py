"""What timers and scrapes cost with years stored: GET /metrics and each statement that the daemon runs by itself, against the same on an empty database, in
turns. Both databases have the same open visits, and bills that somebody watches."""

import time
import urllib.request
from statistics import median, quantiles

from .. import store
from ..result import Row, compare

SIZES, QUICK_SIZES = (1_000_000, 10_000_000), (1_000_000,)      # lines stored
OPEN_BILLS, BILL_LINES = 200, 15
LINES_A_VISIT = 15
CALLS, SCRAPES = 40, 60         # of a round
STATEMENTS = {
    "the heartbeat": "select standbys, lag_us from beat()",
    "the gauges": "select status_doc()",
    "marks of feeds": "select feed_marks(array(select feed_id from feed where feed_id > 0), array(select now() from feed where feed_id > 0))",
    "bills to close": "select visits, bills, failed from visits_close(200)",
    "bills overdue": "select visits_overdue()",
    "reversals held": "select quarantine_id, bytes from quarantine_ready(100)",
    "payments due": "select payment_id from payments_due(50)",
    "bills watched": "select ord, version, doc from bills_watch(array(select 'bench-' || n from generate_series(1, 200) n), array_fill(1, array[200]), '{*}')",
    "tokens": "select token_id, changed from tokens_changed(0)",
    "partitions ahead": "select partitions_ahead()",
}


def _time_ms(cursor, sql):
    started = time.perf_counter()
    cursor.execute(sql)
    cursor.fetchall()
    return (time.perf_counter() - started) * 1000


def _statements(c, databases):
    """A round: for each statement the medians on each of the databases, a call here and a call there."""
    result = {}
    with c.rig.connection(databases[0], "visitbill") as a, c.rig.connection(databases[1], "visitbill") as b, a.cursor() as first, b.cursor() as second:
        for number, (name, sql) in enumerate(STATEMENTS.items()):
            for cursor in (first, second):
                cursor.execute(f"prepare s{number} as {sql}")
            times = [[_time_ms(cursor, f"execute s{number}") for cursor in (first, second)] for _ in range(CALLS + 5)][5:]
            result[name] = [median(side) for side in zip(*times)]
    return result


def _scrapes_ms(daemon):
    """Each on a connection of its own, as Prometheus would after a pause."""
    times = []
    for _ in range(SCRAPES):
        started = time.perf_counter()
        with urllib.request.urlopen(f"http://{daemon.http}/metrics", timeout=30) as reply:
            reply.read()
        times.append((time.perf_counter() - started) * 1000)
    return times


def flat(c):
    empty, full = c.rig.database("flat"), c.rig.database("years")
    for database in (empty, full):
        store.add_bills(c.rig, database, OPEN_BILLS, BILL_LINES)
    rows, next_visit, stored = [], 0, 0
    for size in QUICK_SIZES if c.quick else SIZES:
        next_visit = store.add_history(c.rig, full, size - stored, next_visit, c.say, each=LINES_A_VISIT, is_paid=True)
        stored = size
        for database in (empty, full):
            c.rig.sql(database, "vacuum analyze")
        rounds = [_statements(c, (empty, full)) for _ in range(c.rounds)]
        scrapes = {"empty": [], "full": []}
        with c.rig.daemon(empty) as a, c.rig.daemon(full) as b:
            for n in range(c.rounds):
                for name in ("empty", "full") if n % 2 == 0 else ("full", "empty"):
                    scrapes[name].append(_scrapes_ms(a if name == "empty" else b))
        c.say(f"flat, {size:,} lines: /metrics {median(map(median, scrapes['full'])):.2f} ms, "
              + ", ".join(f"{name} {median(r[name][1] for r in rounds):.2f} ms" for name in STATEMENTS))
        rows.append(compare(f"GET /metrics, {size:,} lines stored", "ms", [median(s) for s in scrapes["full"]], "the same when empty",
                            [median(s) for s in scrapes["empty"]], "flat/metrics"))
        rows.append(Row(f"GET /metrics, {size:,} lines stored, p95", median(quantiles(s, n=20)[-1] for s in scrapes["full"]), "ms"))
        rows += [compare(f"{name}, {size:,} lines stored", "ms", [r[name][1] for r in rounds], "the same when empty", [r[name][0] for r in rounds],
                         "flat/statement") for name in STATEMENTS]
    rows[0].note = (f"{next_visit:,} settled visits of {LINES_A_VISIT} lines, each with bill and payment, one in twenty with an entry once in quarantine;"
                    f" beside them the same {OPEN_BILLS} open bills, all watched, and open visits")
    c.rig.drop(empty)
    c.rig.drop(full)
    return rows
