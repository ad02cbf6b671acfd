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


_PAID = """
    with made as (
        insert into bill (public_id, facility_id, visit_id, sequence, bill_no, kind, generation, first_line, last_line, total, subtotals, personal_cash, issued_at, due_at)
        select 'history-' || v.visit_no, v.facility_id, v.visit_id, 1, v.visit_no, 'bill', 1, 1, v.line_count, v.total,
               array_prepend(v.total, array_fill(0::bigint, array[13])), v.total, now() - interval '390 days', now() - interval '388 days'
          from visit v where v.visit_no >= %(first)s and v.visit_no <= %(last)s
        returning bill_id, visit_id, facility_id, bill_no, total
    ), state as (
        insert into bill_state (bill_id, visit_id, state, version, total, paid) select bill_id, visit_id, 'settled', 3, total, total from made
    ), attempt as (
        insert into payment (public_id, facility_id, visit_id, bill_id, bill_version, channel, merchant, amount, state, out_trade_no, code_url, client,
               idempotency_key, request_digest, created_at, expires_at, next_check_at)
        select 'history-' || bill_no, facility_id, visit_id, bill_id, 1, 'wechatpay', 'main', total, 'succeeded', 'history-' || bill_no, 'weixin://' || bill_no,
               'bench', bill_no, md5(bill_no)::uuid, now() - interval '389 days', now() - interval '389 days', now() - interval '389 days'
          from made returning payment_id, visit_id, bill_id, amount, public_id
    ), money as (
        insert into capture (visit_id, payment_id, channel, transaction_id, amount, captured_at)
        select visit_id, payment_id, 'wechatpay', public_id, amount, now() - interval '389 days' from attempt returning capture_id, payment_id, visit_id, amount
    )
    insert into application (visit_id, bill_id, capture_id, amount)
    select a.visit_id, a.bill_id, m.capture_id, m.amount from money m join attempt a using (payment_id)"""

# A line of every twentieth visit waited for its original, until that came.
_RESOLVED = """
    with message as (
        insert into quarantine_message (feed_id, content_type, sha256)
        select 1, 'hl7', sha256(('history-' || visit_no)::bytea) from visit
         where visit_no >= %(first)s and visit_no <= %(last)s and visit_id %% 20 = 0 order by visit_id
        returning message_id
    ), kept as (
        insert into quarantine_bytes (message_id, bytes) select message_id, convert_to(repeat('x', 300), 'UTF8') from message
    ), entry as (
        insert into quarantine (message_id, ordinal, feed_id, reason, detail, facility_code, visit_no, source_line, awaits_line)
        select message_id, 1, 1, 'original_unknown', 'bench', 'H01', 'HV', 'R-' || message_id, 'L-' || message_id from message returning quarantine_id
    )
    select array_agg(quarantine_id) from entry"""


def _add_paid(rig, database, names):
    with rig.connection(database) as c, c.cursor() as cursor:
        cursor.execute("set synchronous_commit = off")
        cursor.execute(_PAID, names)
        cursor.execute(_RESOLVED, names)        # apart from its resolution: that one's trigger looks for what waits
        (entries,), = cursor.fetchall()
        cursor.execute("insert into quarantine_resolution (quarantine_id, outcome, resolved_by) select unnest(%s::bigint[]), 'posted', 'bench'", (entries,))
        cursor.execute("select count(*) from kept_change")
        for _ in range(cursor.fetchone()[0] // 10_000 + 1):     # what a heartbeat takes up
            cursor.execute("select from beat()")


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


def add_history(rig, database, lines, first_visit, say=lambda text: None, each=100, is_paid=False):
    """Settled visits of `each` lines, older than everything open; is_paid: with their bills, payments and what was once in quarantine. Returns the number
    of the next visit."""
    step = 500_000 // each
    visits = lines // each
    column, value = rig.credit_limit(database)
    for first in range(first_visit, first_visit + visits, step):
        n = min(step, first_visit + visits - first)
        rig.sql(database, f"""
            insert into visit (facility_id, visit_no, class, state, patient_no, patient_name, sex, department, admitted_at, discharged_at{column})
            select f.facility_id, 'HV' || lpad(n::text, 7, '0'), 'inpatient', 'settled', 'P' || n, '王芳', 'F', '综合内科',
                   now() - interval '400 days', now() - interval '390 days'{value}
              from facility f, generate_series(%s, %s) n where f.code = 'H01' order by n""", (first, first + n - 1))
        rig.sql(database, "select partitions_ahead()")
        add_lines(rig, database, "HV", n, each, first=first, state="'settled'", billed="s.lines", when="now() - interval '395 days'")
        if is_paid:
            _add_paid(rig, database, _range("HV", first, n))
        if (first - first_visit) % (step * 4) == 0:
            say(f"history: {(first - first_visit + n) * each:,} of {lines:,} lines")
    with rig.connection(database) as c, c.cursor() as cursor:
        cursor.execute("vacuum (freeze, analyze)")
    return first_visit + visits
