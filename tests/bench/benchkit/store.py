"""Rows made by SQL, as the owner: bills to read and pay, visits with lines, years of history. Plausible, not through the daemon."""

_LINES = """
    with items as (select row_number() over (order by code) - 1 as k, * from item where valid_from <= current_date)
    insert into charge (visit_id, line_no, feed_id, kind, category, self_pay_e4, quantity_e4, unit_price_e6, amount, charged_at, posted_at, digest,
           source_line, message_id, item_code, item_name, national_code, class, unit, department, performer, orderer, order_no)
    select v.visit_id, n, 1, 'CG', i.category, i.self_pay_e4, 10000, i.unit_price_e6, i.unit_price_e6 / 10000, {when}, {when},
           md5(v.visit_id || '/' || n)::uuid, 'H-' || lpad((v.visit_id * 1000 + n)::text, 13, '0'), 'M-' || v.visit_id, i.code, i.name,
           i.national_code, i.class, i.unit, '综合内科病区', '王建国', '李明华', 'O' || lpad((v.visit_id * 1000 + n)::text, 12, '0')
      from visit v cross join generate_series(1, {lines}) n join items i on i.k = n %% 16
     where v.visit_no >= %(first)s and v.visit_no <= %(last)s
     order by v.visit_id, n"""

_TOTALS = """
    update visit v set total = s.total, line_count = s.lines, billed_line = {billed}, state = {state}
      from (select c.visit_id, sum(c.amount)::bigint as total, count(*)::int as lines from charge c join visit using (visit_id)
             where visit_no >= %(first)s and visit_no <= %(last)s group by 1) s
     where v.visit_id = s.visit_id"""

_BILLS = """
    with made as (
        insert into bill (public_id, facility_id, visit_id, sequence, bill_no, kind, generation, first_line, last_line, total, subtotals, personal_cash, due_at)
        select 'bench-' || row_number() over (order by v.visit_id), v.facility_id, v.visit_id, 1, v.visit_no, 'bill', 1, 1, v.line_count, v.total,
               (select array_agg(coalesce(s.amount, 0) order by k.category) from category k
                  left join (select category, sum(amount)::bigint as amount from charge c where c.visit_id = v.visit_id group by 1) s using (category)),
               v.total, now() + interval '2 days'
          from visit v where v.visit_no >= %(first)s and v.visit_no <= %(last)s
        returning bill_id, visit_id, total)
    insert into bill_state (bill_id, visit_id, state, total) select bill_id, visit_id, 'open', total from made"""


def _range(prefix, first, n):
    return {"first": f"{prefix}{first:07}", "last": f"{prefix}{first + n - 1:07}"}


def add_lines(rig, database, prefix, visits, lines, first=0, state="state", billed="billed_line", when="now()"):
    """`lines` lines on each of the visits prefix0000000 and up, which are there."""
    names = _range(prefix, first, visits)
    with rig.connection(database) as c, c.cursor() as cursor:
        cursor.execute("set synchronous_commit = off")      # of this filling alone; the clients measured keep it on
        cursor.execute(_LINES.format(lines=lines, when=when), names)
        cursor.execute(_TOTALS.format(state=state, billed=billed), names)


def add_bills(rig, database, bills, lines):
    """Bills bench-1 to bench-N of `lines` lines each, open. Returns the amount of one, in yuan."""
    rig.add_visits(database, bills, prefix="BB")
    add_lines(rig, database, "BB", bills, lines, state="'billed'", billed="s.lines")
    rig.sql(database, _BILLS, _range("BB", 0, bills))
    rig.sql(database, "analyze visit, charge, bill, bill_state")     # not the empty ones: no installation has statistics of those
    (total,), = rig.sql(database, "select total from bill where public_id = 'bench-1'")
    return f"{total // 100}.{total % 100:02}"


def add_history(rig, database, lines, first_visit, say=lambda text: None):
    """Settled visits of 100 lines each, older than everything open. Returns the number of the next visit."""
    step = 5000
    visits = lines // 100
    for first in range(first_visit, first_visit + visits, step):
        n = min(step, first_visit + visits - first)
        rig.sql(database, """
            insert into visit (facility_id, visit_no, class, state, patient_no, patient_name, sex, department, admitted_at, discharged_at)
            select f.facility_id, 'HV' || lpad(n::text, 7, '0'), 'inpatient', 'settled', 'P' || n, '王芳', 'F', '综合内科',
                   now() - interval '400 days', now() - interval '390 days'
              from facility f, generate_series(%s, %s) n where f.code = 'H01' order by n""", (first, first + n - 1))
        rig.sql(database, "select partitions_ahead()")
        add_lines(rig, database, "HV", n, 100, first=first, state="'settled'", billed="s.lines", when="now() - interval '395 days'")
        if (first - first_visit) % (step * 4) == 0:
            say(f"history: {(first - first_visit + n) * 100:,} of {lines:,} lines")
    with rig.connection(database) as c, c.cursor() as cursor:
        cursor.execute("vacuum (freeze, analyze)")
    return first_visit + visits
