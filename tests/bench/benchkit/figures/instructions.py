"""Instructions of one batch in PostgreSQL: charges_post, or for a line alone charges_post_one, against the limit program's statement, the same rows in each. valgrind counts them in single-user
mode, so neither the noise of the machine nor the disk is in the figure, and a few per cent can be seen."""

import re

from ..result import Row

SHAPES = ((1, 1), (32, 32), (640, 128))     # lines, and the visits they are for
CALLS = 6                                   # of each, behind the ones that make the plans

# A batch a row, as arrays, for both of them. Batches of a shape differ in their ids alone.
_BATCHES = """
    create table batch as
    select b.id, b.lines, v.ids, v.numbers, l.*, s.*
      from (select row_number() over () as id, lines, visits, n from unnest(%s, %s) t (lines, visits), generate_series(1, %s) n) b
      cross join lateral (select array_agg(visit_id order by visit_id) as ids, array_agg(visit_no order by visit_id) as numbers, array_agg(line_count order by visit_id) as counts
                            from (select * from visit order by visit_id limit b.visits) w) v
      cross join lateral (
        select array_agg((x - 1) / p.each + 1 order by x) as visit, array_agg((x - 1) %% p.each + 1 order by x) as place,
               array_agg(v.ids[(x - 1) / p.each + 1] order by x) as visit_id,
               array_agg(v.counts[(x - 1) / p.each + 1] + (x - 1) %% p.each + 1 + b.n * 10000 order by x) as line_no,
               array_agg(1 + (x - 1) %% 16 order by x) as item, array_agg(i.code[1 + (x - 1) %% 16] order by x) as code, array_agg(1 order by x) as one, array_agg('CG'::text order by x) as kind,
               array_agg(b.id || '-' || x order by x) as source, array_agg(md5(b.id || '/' || x)::uuid order by x) as digest,
               array_agg(now() order by x) as charged_at, array_agg(20000::bigint order by x) as quantity, array_agg(12800000::bigint order by x) as price,
               array_agg(2560::bigint order by x) as amount, array_agg(9::smallint order by x) as category, array_agg('阿莫西林胶囊0.25g*24粒'::text order by x) as name,
               array_agg('XA01BC02'::text order by x) as national, array_agg('心内科门诊'::text order by x) as department, array_agg('王建国'::text order by x) as performer,
               array_agg('O' || lpad(x::text, 12, '0') order by x) as order_no, array_agg('M' || b.id order by x) as message, array_agg('A'::text order by x) as class
          from (select b.lines / b.visits as each) p, items i, generate_series(1, b.lines) x) l
      cross join lateral (select array(select 2560::bigint * b.lines / b.visits from unnest(v.ids)) as sums, array(select b.lines / b.visits from unnest(v.ids)) as sum_lines,
                                 array(select 1 from unnest(v.ids)) as facility, array(select null::text from unnest(v.ids)) as nothing) s"""
_ITEMS = """
    create table items as select array_agg(code order by code) as code, array_agg(1) as facility, array_agg(current_date) as day
      from (select distinct code from item order by code limit 16) i"""
_CALLS = {
    "charges_post": """select charges_post(b.facility, numbers, nothing, nothing, nothing, i.facility[:lines], i.code[:lines], i.day[:lines], visit, item, place, one, kind, source, digest,
        charged_at, quantity, price, amount, category, name, national, department, performer, performer, order_no, null, message) from batch b, items i where id = {id}""",
    "charges_post_one": """select charges_post_one(b.facility[1], numbers[1], null, null, null, i.code[1], i.day[1], one[1], kind[1], source[1], digest[1],
        charged_at[1], quantity[1], price[1], amount[1], category[1], name[1], national[1], department[1], performer[1], performer[1], order_no[1], message[1])
        from batch b, items i where id = {id}""",
    "limit_post": """select limit_post(visit_id, line_no, category, category, quantity, price, amount, charged_at, digest, source, message, code, name,
        national, class, class, department, performer, performer, order_no, ids, sums, sum_lines) from batch where id = {id}""",
}


def _limit_function(c):
    """The limit's statement as a function, for single-user mode has no protocol to send parameters by."""
    sql = c.rig.run([c.rig.tool("vblimit"), "--sql"]).strip()
    types = [t for _, t in sorted({int(n): t for n, t in re.findall(r"\$(\d+)::(\w+\[\])", sql)}.items())]
    return f"""create function limit_post({', '.join(types)}) returns void language plpgsql set plan_cache_mode = force_generic_plan
        as $f$ begin {sql}; end $f$"""


def _count(c, data, database, call, ids):
    statements = "\n".join(" ".join(call.format(id=i).split()) + ";" for i in ids)
    out = c.rig.single_user(data, database, "set search_path = hospital;\n" + statements + "\n",
                            ("valgrind", "--tool=callgrind", "--vgdb=no", f"--callgrind-out-file={data}/callgrind.out"))
    return int(re.search(r"Collected : (\d+)", out).group(1))


def instructions(c):
    database = c.rig.database("instructions")
    c.rig.sql(database, _ITEMS)
    c.rig.sql(database, _BATCHES, ([n for n, _ in SHAPES], [n for _, n in SHAPES], 2 * (CALLS + 4)))
    c.rig.sql(database, _limit_function(c))
    ids = {n: [i for (i,) in c.rig.sql(database, "select id from batch where lines = %s order by id", (n,))] for n, _ in SHAPES}
    data = c.rig.frozen_copy()
    rows = []
    for lines, visits in SHAPES:
        a_batch = {}
        ours = "charges_post_one" if lines == 1 else "charges_post"
        for name, mine in ((ours, ids[lines][:CALLS + 4]), ("limit_post", ids[lines][CALLS + 4:])):
            few, more = (_count(c, data, database, _CALLS[name], some) for some in (mine[:2], mine[2:]))
            a_batch[name] = (more - few) / CALLS
        c.say(f"instructions, {lines} lines: " + ", ".join(f"{name} {n:,.0f}" for name, n in a_batch.items()))
        rows.append(Row(f"PostgreSQL's instructions a line, {lines} lines for {visits} visits a batch", a_batch[ours] / lines, "instructions",
                        "limit program's statement", a_batch["limit_post"] / lines, a_batch["limit_post"] / a_batch[ours],
                        note="ratio: the limit's over ours"))
    c.rig.drop(database)
    return rows
