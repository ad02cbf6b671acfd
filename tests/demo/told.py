"""What the day told beside its care, in figures and then in words: settle now, chains of merges, a price that changed, visits that a rule
ended, and what each vendor's system charged. The figures are PostgreSQL's, each compared with the oracle's before it is printed.
"""

from collections import Counter, defaultdict

import psycopg2

from .lines import BRANCH, VENDORS, yuan
from .stories import CONSULT
from .vendors import IDLE

# Money in fen. What was merged away is with the visit that it went into.
_LINES = "from charge c join visit v using (visit_id) join facility f using (facility_id) join feed d using (feed_id) where v.state <> 'merged' and feed_id > 0"
_INTERIM = "from bill b join visit v using (visit_id) join facility f on f.facility_id = v.facility_id where exists (select from bill i where i.visit_id = v.visit_id and i.kind = 'interim')"
_FIGURES = (
    ("lines", f"select f.code, d.name, count(*) {_LINES} and kind <> 'PY' group by 1, 2"),
    ("money", f"select f.code, d.name, sum(amount) {_LINES} group by 1, 2"),
    ("priced", f"select f.code, c.unit_price_e6::text, sum(amount) {_LINES} and item_code = '{CONSULT}' group by 1, 2"),
    ("ended", """
        select f.code, split_part(e.detail ->> 'rule', ' ', 1), count(*) from event e join visit v using (visit_id) join facility f using (facility_id)
         where e.kind = 'visit' and e.detail ? 'rule' group by 1, 2"""),
    ("merged", """
        select f.code, 'chain', count(*) from visit x join visit y on y.visit_id = x.merged_next join visit z on z.visit_id = y.merged_next
          join facility f on f.facility_id = x.facility_id where x.merged_into = z.visit_id and z.state <> 'merged' group by 1, 2"""),
    ("interim", f"select f.code, 'visits', count(distinct b.visit_id) {_INTERIM} group by 1, 2"),
    ("interim", f"select f.code, case when b.kind = 'interim' then 'billed' else 'later' end, sum(b.total) {_INTERIM} group by 1, 2"),
    ("interim", """
        select f.code, 'paid', sum(c.amount) from capture c join payment p using (payment_id) join bill b on b.bill_id = p.bill_id
          join facility f on f.facility_id = b.facility_id where b.kind = 'interim' group by 1, 2"""),
)


def read(conninfo):
    """The figures of each facility by its code."""
    result = defaultdict(Counter)
    connection = psycopg2.connect(conninfo)
    try:
        with connection, connection.cursor() as cursor:
            for name, sql in _FIGURES:
                cursor.execute(sql)
                for code, what, n in cursor.fetchall():
                    result[code][f"{name}.{what}"] += int(n)
    finally:
        connection.close()
    return result


def expected_of(script):
    """The same by the oracle."""
    oracle, result = script.oracle, Counter()
    for account in oracle.accounts.values():
        for booked in account.order if account.state != "merged" else ():
            result[f"lines.{booked.feed}"] += 1
            result[f"money.{booked.feed}"] += booked.amount
            if booked.line.code == CONSULT:
                result[f"priced.{oracle.prices.on(CONSULT, booked.line.at).price}"] += booked.amount
        if account.into is not None and account.into.into is not None:
            result["merged.chain"] += 1
        if any(d.kind == "interim" for d in account.documents):
            result["interim.visits"] += 1
            for document in account.documents:
                interim = document.kind == "interim"
                result["interim.billed" if interim else "interim.later"] += document.total
                result["interim.paid"] += sum(pay.amount for pay in (*document.early, *document.pays)) if interim else 0
    result.update({f"ended.{rule}": n for rule, n in oracle.ended.items()})
    return result


def compare(scripts, found, progress):
    for script in scripts:
        expected = expected_of(script)
        for name in sorted(expected.keys() | found[script.facility].keys()):
            if expected[name] != found[script.facility][name]:
                progress.problem(f"{script.facility}: {name}: expected {expected[name]}, found {found[script.facility][name]}")


def _grouped(fen):
    return f"{fen / 100:,.2f}" if abs(fen) < 10**12 else yuan(fen)


def _counted(n, one, many):
    return f"{n:,} {one if n == 1 else many}"


def words(scripts, found):
    """Lines of text for who has not seen the script."""
    day, told = scripts[0], found[scripts[0].facility]
    entries = next(step.expected.entries for stage in day.stages for step in stage.steps if step.message.entries)
    before, after = (int(name.partition(".")[2]) for name in sorted((n for n in told if n.startswith("priced.")), key=lambda n: int(n.partition(".")[2])))
    yield "WHAT ELSE THE DAY TOLD 另外"
    yield (f"  settle now 中途结算     {_counted(told['interim.visits'], 'patient', 'patients')} settled at a kiosk while still being treated: {_grouped(told['interim.billed'])} on"
           f" interim bills, {_grouped(told['interim.paid'])} of it paid;")
    yield f"{' ' * 26}what came after that, credits taken off, is on their final bills: {_grouped(told['interim.later'])}"
    yield (f"  merges 合并就诊         {_counted(told['merged.chain'], 'patient', 'patients')} registered three times, X into Y into Z (A42): each line once, on Z's bill, though X's and"
           " Y's systems")
    yield f"{' ' * 26}went on charging, sending again and taking back under the old numbers"
    yield (f"  price list 价表         {len(entries)} entries by MFN^M04, {entries.count('S')} kept, {entries.count('U')} refused for what it lacks; one consultation was {before / 1e6:.2f}"
           f" yesterday and")
    yield (f"{' ' * 26}is {after / 1e6:.2f} today: {_grouped(told[f'priced.{before}'])} and {_grouped(told[f'priced.{after}'])} were charged, each at the price"
           " of its day")
    if len(scripts) == 1:
        return
    told = found[BRANCH]
    yield f"  close rules 自动结束    no message ended {_counted(told['ended.idle'], 'visit', 'visits')} after {IDLE} or less of silence (idle): their bills came by themselves"
    if told["ended.daily"]:
        yield f"{' ' * 26}and {_counted(told['ended.daily'], 'visit', 'visits')} at the closing time (daily)"
    yield f"  four vendors 四家厂商   at the branch {BRANCH}, each in its own dialect, read by its own profile:"
    for feed in VENDORS:
        yield f"{' ' * 26}{feed:<10}{_counted(told[f'lines.{feed}'], 'line', 'lines'):>10}{_grouped(told[f'money.{feed}']):>14}"
