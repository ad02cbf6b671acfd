"""Bill reads: GET /v1/bills/{bill}?lines=all over keep-alive connections, against pgbench with the query behind it."""

from .. import store, tools
from ..result import compare
from ..rig import KIOSK_TOKEN

BILLS, LINES = 1000, 30


def bills_per_s(c, daemon):
    return c.load("http-get", http=daemon.http, token=KIOSK_TOKEN, connections=32, bills=BILLS)["requests_per_s"]


def reads(c):
    clients = c.best_clients("bill.sql", role="visitbill", prepare=lambda database: store.add_bills(c.rig, database, BILLS, LINES), bills=BILLS)
    http, query = [], []
    with c.rig.workplace("reads") as (database, daemon):
        store.add_bills(c.rig, database, BILLS, LINES)
        for n in range(c.rounds):
            query.append(tools.pgbench(c.rig, database, "bill.sql", c.seconds, clients, role="visitbill", bills=BILLS)["tps"])
            http.append(bills_per_s(c, daemon))
            c.say(f"reads, round {n + 1} of {c.rounds}: HTTP {http[-1]:,.0f}/s, query {query[-1]:,.0f}/s")
    return [compare("bill reads, 30 lines, keep-alive HTTP", "bills/s", http, "the same query, prepared, by pgbench", query, "reads/query",
                    f"32 connections; pgbench: {clients} clients")]
