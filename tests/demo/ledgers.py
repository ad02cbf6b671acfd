"""The books of each facility by itself: a few queries over all of them, each a row of sums by facility, under the oracle's names; money in fen. And what
else of a city goes by PostgreSQL alone.

What `visitbillctl books` says is the whole city's. Who asks here is PostgreSQL's administrator, with nothing of the daemon in between.
"""

from collections import Counter, defaultdict

import psycopg2

_KIND = "substring(f.name from '[^.]*$')"      # clinic of H02.clinic
_COUNTS = (
    ("visits.{}", "select code, state, count(*) from visit join facility using (facility_id) group by 1, 2"),
    ("bills.{}.count", "select code, kind, count(*) from bill join facility using (facility_id) group by 1, 2"),
    ("bills.{}.total", "select code, kind, sum(total) from bill join facility using (facility_id) group by 1, 2"),
    ("collected.{}", "select code, channel, sum(amount) from capture join visit using (visit_id) join facility using (facility_id) group by 1, 2"),
    ("quarantined.{}", """
        select coalesce(e.facility, e.facility_code), e.reason, count(*) from quarantine_entry e left join quarantine_resolution r using (quarantine_id)
         where e.ordinal > 0 and r.outcome is null group by 1, 2"""),
    ("balance.{}", """
        select code, account, sum(amount) from journal j join visit using (visit_id) join facility using (facility_id)
         cross join lateral unnest(j.accounts, j.amounts) p (account, amount) group by 1, 2"""),
    ("{}", """
        select code, v.name, v.n from facility join lateral (values
               ('receipts', (select count(*) from receipt r where r.facility_id = facility.facility_id)),
               ('bills.total', (select sum(total) from bill b where b.facility_id = facility.facility_id)),
               ('bills.issued', (select count(*) from bill b where b.facility_id = facility.facility_id)),
               ('outstanding', (select sum(s.total - s.paid - s.credited) from bill_state s join bill b using (bill_id)
                                 where b.facility_id = facility.facility_id and s.state <> 'void')),
               ('visits.total', (select sum(total) from visit v where v.facility_id = facility.facility_id))) v (name, n) on true"""),
)
_LINES = f"""
    select y.code, {_KIND}, sum(t.booked), sum(t.duplicate)
      from intake_tally t join feed f using (feed_id) join facility y using (facility_id) group by 1, 2"""
_PARKED = f"""
    select coalesce(e.facility, e.facility_code), coalesce({_KIND}, 'unknown'), e.ordinal > 0, r.outcome, count(*)
      from quarantine_entry e left join feed f using (feed_id) left join quarantine_resolution r using (quarantine_id) group by 1, 2, 3, 4"""
_REPLAYED = ("posted", "late", "duplicate")


def read(conninfo):
    """The figures of each facility by its code; and what belongs to a code that is no facility's, too."""
    result = defaultdict(Counter)
    connection = psycopg2.connect(conninfo)
    try:
        with connection, connection.cursor() as cursor:
            def rows(sql):
                cursor.execute(sql)
                return cursor.fetchall()

            cursor.execute("set transaction isolation level repeatable read read only")
            for name, sql in _COUNTS:
                for code, what, n in rows(sql):
                    result[code][name.format(what)] += int(n or 0)
            for code, feed, booked, duplicate in rows(_LINES):
                _add_lines(result[code], feed, booked=int(booked), duplicate=int(duplicate))
            for code, feed, is_line, outcome, n in rows(_PARKED):
                if not is_line:
                    result[code]["messages_quarantined"] += n
                elif outcome is None:
                    _add_lines(result[code], feed, waiting=n)
                elif outcome in _REPLAYED:
                    result[code]["lines.resolved"] += n
    finally:
        connection.close()
    for figures in result.values():
        figures["unbilled"] = figures.pop("visits.total", 0) - figures["bills.total"]
        figures["credit"] = -figures["balance.credit"]
        for name in [name for name in figures if name.startswith("balance.revenue:")]:
            figures["revenue." + name.partition(":")[2]] = -figures[name]
    return result


def copy_items(conninfo, code):
    """Every other facility has the price list of this one."""
    columns = "code, valid_from, national_code, name, unit, category, class, self_pay_e4, unit_price_e6"
    connection = psycopg2.connect(conninfo)
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(f"""
                insert into item (facility_id, {columns})
                select other.facility_id, {", ".join(f"i.{name}" for name in columns.split(", "))}
                  from item i join facility f using (facility_id) join facility other on other.code <> f.code
                 where f.code = %s on conflict do nothing""", (code,))
            cursor.execute("analyze item")
    finally:
        connection.close()


def waiting_for_bills(conninfo):
    """How many visits the daemon has still to close, or to close again."""
    connection = psycopg2.connect(conninfo)
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute("select count(*) from visit where state = 'discharged' or late_since is not null")
            return cursor.fetchone()[0]
    finally:
        connection.close()


def _add_lines(figures, feed, **counts):
    for name, n in counts.items():
        figures[f"feed.{feed}.{name}"] += n
        figures[f"feed.{feed}.received"] += n
        figures[f"lines.{name}"] += n
        figures["lines.received"] += n
