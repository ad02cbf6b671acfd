"""Payments through their full life, and the close of visits."""

import json
import re
import subprocess
import time
import urllib.error
import urllib.request
from datetime import datetime, timedelta, timezone
from statistics import median

from .. import proc, store
from ..result import Row, compare
from ..rig import FEED_TOKEN, KIOSK_TOKEN, Failure

PAYERS = 64
BILLS_A_SECOND, SIGNED_A_SECOND = 3000, 750        # more than will be paid; what is beyond the latter is signed as it comes


def _channel(c, daemon, sign_ahead):
    """vbchannel, once its first replies are signed, and the address of its control port."""
    m = c.rig.merchant
    process = c.rig.spawn([c.rig.tool("vbchannel"), "--listen", daemon.channel, "--platform-key", f"{c.rig.pay}/platform_key.pem", "--platform-serial",
                           m["platform_serial"], "--merchant-certificate", f"{c.rig.pay}/merchant_cert.pem", "--apiv3-key", m["apiv3_key"],
                           "--mchid", m["mchid"], "--appid", m["appid"], "--sign-ahead", str(sign_ahead)], stdout=subprocess.PIPE, text=True)
    return process, json.loads(process.stdout.readline())["control"]


def pay_for_a_while(c, database, daemon):
    """Create, order at the channel, notification, settled, receipt read, on bills made here. Each bill is paid once, and the books are asked at the
    end. What vbpay printed, the milliseconds of CPU of daemon and PostgreSQL a payment, and the simulator's payments for each second of its own."""
    bills, signed = ((c.seconds + 2) * n for n in (BILLS_A_SECOND, SIGNED_A_SECOND))
    amount = store.add_bills(c.rig, database, bills, 1)
    channel, control = _channel(c, daemon, signed)
    try:
        c.rig.checkpoint()
        before, signing = proc.cpu_s(daemon.pid) + c.rig.postgres_cpu_s(), proc.cpu_s(channel.pid)
        out = c.rig.run([c.rig.tool("vbpay"), "--http", daemon.http, "--control", control, "--token", KIOSK_TOKEN, "--payers", str(PAYERS),
                         "--seconds", str(c.seconds), "--warm-ms", str(c.warm_ms), "--bills", str(bills), "--amount", amount])
        r = json.loads(out)
        r["cpu_ms"] = (proc.cpu_s(daemon.pid) + c.rig.postgres_cpu_s() - before) / r["all_done"] * 1000
        r["ceiling"] = r["all_done"] / max(proc.cpu_s(channel.pid) - signing, 0.01)
    finally:
        channel.terminate()
        channel.wait()
        channel.stdout.close()
    (settled, receipts), = c.rig.sql(database, "select (select count(*) from bill_state where state = 'settled'), (select count(*) from receipt)")
    if not settled == receipts == r["all_done"]:
        raise Failure(f"{r['all_done']} payments were confirmed, {settled} bills are settled, {receipts} receipts were issued")
    return r


def payments(c):
    runs = []
    for n in range(min(c.rounds, 3)):
        with c.rig.workplace("payments") as (database, daemon):
            runs.append(pay_for_a_while(c, database, daemon))
        c.say(f"payments, round {n + 1}: {runs[-1]['payments_per_s']:,.0f}/s")
    cost, steps = [r["cpu_ms"] for r in runs], runs[-1]["steps_p50_us"]
    return [
        compare("payments, full life", "payments/s", [r["payments_per_s"] for r in runs], goal="payments",
                note=f"{PAYERS} payers; steps p50: " + ", ".join(f"{k} {v / 1000:.1f} ms" for k, v in steps.items())),
        compare("payments, from create to receipt read, p50", "ms", [r["latency_us"]["p50"] / 1000 for r in runs]),
        compare("CPU of the daemon and PostgreSQL a payment", "ms", cost,
                note=f"with the simulator and the payers on other machines two cores would do {2000 / median(cost):,.0f} payments/s"),
        compare("channel simulator's own ceiling", "payments/s", [r["ceiling"] for r in runs],
                note="payments for each second of its CPU: a signature and a check each, replies to orders are signed before"),
    ]


# ---- close


def close_ms(c, cursor, database, lines, number):
    """One visit of so many lines is closed by visits_close(1), as the owner on a connection that has closed before; the server's own time."""
    c.rig.add_visits(database, 1, prefix=f"C{number}-")
    store.add_lines(c.rig, database, f"C{number}-", 1, lines)
    c.rig.sql(database, "update visit set state = 'discharged', discharged_at = now() - interval '2 hours', discharge_seen_at = now() - interval '1 hour'"
              " where visit_no = %s", (f"C{number}-0000000",))
    cursor.execute("explain (analyze, timing off) select * from visits_close(1)")
    (plan,) = [row[0] for row in cursor.fetchall() if "Execution Time" in row[0]]
    (bills,), = c.rig.sql(database, "select count(*) from bill b join visit v using (visit_id) where v.visit_no = %s", (f"C{number}-0000000",))
    if bills != 1:
        raise Failure("the visit was not closed")
    return float(re.search(r"([0-9.]+) ms", plan).group(1))


def _call(daemon, method, path, body=None, token=FEED_TOKEN):
    request = urllib.request.Request(f"http://{daemon.http}{path}", method=method, data=json.dumps(body).encode() if body is not None else None,
                                     headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=30) as reply:
            return json.load(reply)
    except urllib.error.HTTPError as e:
        raise Failure(f"{method} {path}: {e.code} {e.read()[:300]}") from None


def discharge_to_bill_ms(c, database, daemon, lines, number):
    """The same through the API: from the discharge to the bill, with the daemon's own pace of looking."""
    prefix = f"D{number}-"
    c.rig.add_visits(database, 1, prefix=prefix)
    store.add_lines(c.rig, database, prefix, 1, lines)
    visit = f"/v1/visits/H01/{prefix}0000000"
    now = datetime.now(timezone(timedelta(hours=8)))
    started = time.monotonic()
    _call(daemon, "POST", f"{visit}/discharge", {"discharged_at": (now - timedelta(seconds=1)).isoformat(timespec="seconds"), "as_of": now.isoformat(timespec="seconds")})
    while time.monotonic() - started < 30:
        if _call(daemon, "GET", f"{visit}/bills", token=KIOSK_TOKEN)["bills"]:
            return (time.monotonic() - started) * 1000
        time.sleep(0.002)
    raise Failure("no bill 30 s after the discharge")


def close(c):
    sizes = (100, 1000, 10000)
    sql, wall = {n: [] for n in sizes}, {n: [] for n in sizes}
    rounds = max(c.rounds, 3)
    database = c.rig.database("close")
    number = 0
    with c.rig.connection(database) as connection, connection.cursor() as cursor:
        close_ms(c, cursor, database, 10, number)      # the plans are made
        for _ in range(rounds):
            for lines in sizes:
                number += 1
                sql[lines].append(close_ms(c, cursor, database, lines, number))
    c.rig.drop(database)
    with c.rig.workplace("closing") as (database, daemon):
        for _ in range(rounds):
            for lines in sizes:
                number += 1
                wall[lines].append(discharge_to_bill_ms(c, database, daemon, lines, number))
    c.say("close: " + ", ".join(f"{n} lines {median(sql[n]):.1f} ms" for n in sizes))
    a_line = {n: [ms * 1000 / n for ms in sql[n]] for n in sizes}
    rows = [Row(f"close of {n:,} lines, cost a line", median(a_line[n]), "µs", samples=a_line[n]) for n in sizes[:2]]
    rows.append(compare("close of 10,000 lines, cost a line", "µs", a_line[10000], "the same of 100 lines", a_line[100], "close/flat"))
    rows.append(compare("close of 10,000 lines", "ms", sql[10000], goal="close/10000"))
    rows += [compare(f"from discharge to bill over the API, {n:,} lines", "ms", wall[n], note="the daemon looks every 250 ms") for n in sizes]
    return rows
