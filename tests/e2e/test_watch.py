"""What an operator watches by: conf/alerts.yml and conf/dashboard.json name only what a daemon exports that has done some work, and tell what to do;
and the gauges for what somebody has to be woken for."""

import json
import re

import pytest

from .feeds import Feed, ft1
from .live import ROOT, wait_until
from .pair import Pair

ALERTS = (ROOT / "conf/alerts.yml").read_text("utf-8")
ALERT_TESTS = (ROOT / "conf/alerts.test.yml").read_text("utf-8")
DASHBOARD = json.loads((ROOT / "conf/dashboard.json").read_text("utf-8"))
PANELS = DASHBOARD["panels"]
OF_PROMETHEUS = {"instance", "job"}     # labels that it adds itself
SELECTOR = re.compile(r"\b(visitbill_\w+)(?:\{([^}]*)\})?")
MATCHER = re.compile(r'(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"')


def rules():
    """Each alert's block of text by its name."""
    parts = re.split(r"^\s+- alert: (\w+)$", ALERTS, flags=re.M)
    return dict(zip(parts[1::2], parts[2::2]))


def expressions():
    """(where, PromQL, the labels that its text shows)"""
    found = []
    for name, text in rules().items():
        (expr,) = re.findall(r"^\s+expr: (\S.*)$", text, re.M)
        found.append((name, expr, set(re.findall(r"\$labels\.(\w+)", text))))
    for panel in PANELS:
        for target in panel["targets"]:
            found.append((panel["title"], target["expr"], set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))))
    return found


def exported(text):
    """/metrics as {name: [labels of each series]}."""
    series = {}
    for line in text.splitlines():
        match = re.fullmatch(r"(\w+)(?:\{(.*)\})? (\S+)", line)
        if match:
            series.setdefault(match[1], []).append(dict(re.findall(r'(\w+)="([^"]*)"', match[2] or "")))
    return series


@pytest.fixture(scope="module", name="pair")
def _pair():
    with Pair() as pair:
        yield pair


@pytest.fixture(scope="module", name="series")
def _series(pair):
    """What a daemon exports that has booked, refused, billed and collected, with a standby behind its server and a payment that waits."""
    house = pair.house
    pair.first.execute("grant pg_read_all_stats to visitbill_owner")
    house.clinic.dft("W1", ft1("1", "100.00"), ft1("2", "x"))
    bill = house.discharge("W1")
    house.sim.pay(house.kiosk.pay(bill["bill"], "60.00").json)
    wait_until(lambda: house.metric("visitbill_payments", state="succeeded") > 0, "the payment")
    house.kiosk.pay(bill["bill"], "40.00")
    house.nobody.get("/v1/bills/none")
    return exported(wait_until(lambda: (text := house.watcher.get("/metrics").text) and "\nvisitbill_standby_lag_seconds " in text and text, "the lag"))


# ---- alerts.yml and dashboard.json

def test_every_metric_and_label_is_exported(series):
    sources = "".join(path.read_text("utf-8") for folder in ("daemon", "sql", "proto") for path in (ROOT / folder).rglob("*.[cs]*") if path.suffix in (".c", ".sql"))
    for where, expr, shown in expressions():
        selectors = SELECTOR.findall(expr)
        assert selectors, (where, expr)
        labels = {}
        for name, matchers in selectors:
            assert name in series, f"{where}: {name} is not exported"
            labels[name] = set().union(*series[name])
            for label, _, value in MATCHER.findall(matchers):
                assert label in labels[name] | OF_PROMETHEUS, f"{where}: {name} has no label {label}"
                for word in value.split("|") if not value.startswith("$") else ():
                    assert any(s.get(label) == word for s in series[name]) or f"'{word}'" in sources or f'"{word}"' in sources, f"{where}: {label} is never {word}"
        grouped = {label for by in re.findall(r"\bby \(([^)]*)\)", expr) for label in re.findall(r"\w+", by)}
        known = set().union(*labels.values()) | OF_PROMETHEUS
        assert grouped <= known, f"{where}: grouped by {grouped - known}"
        assert shown <= (grouped or known), f"{where}: shows {shown - (grouped or known)}"
    for name in re.findall(r"\bvisitbill_\w+", ALERTS + json.dumps(DASHBOARD)):
        assert name in series, f"{name} is not exported"


def test_the_alerts_are_tested_with_what_is_exported(series):
    """promtool runs them on series that have the labels of the daemon's, no more and no fewer."""
    tested = re.findall(r"series: '(\w+)\{(.*?)\}'", ALERT_TESTS)
    for name, labels in tested:
        assert {label for label, *_ in MATCHER.findall(labels)} == set().union(*series[name]) | {"instance"}, name
    for alert in rules():
        assert f'alertname="{alert}"' in ALERT_TESTS


def test_every_alert_says_what_to_do():
    for name, text in rules().items():
        assert re.search(r"severity: (warning|critical)\n", text), name
        assert re.search(r'summary: "\{\{ \$labels\.instance \}\}: .+"\n', text), name
        assert len(re.search(r"description: >-\n((?: {12}.*\n?)+)", text)[1]) > 100, name


def test_the_dashboard_is_in_order():
    """Panels of Grafana's own that do not overlap, each with a unit and a sentence; every variable is one that there is."""
    assert len({panel["id"] for panel in PANELS}) == len(PANELS) == len({panel["title"] for panel in PANELS})
    taken = set()
    for panel in PANELS:
        place, title = panel["gridPos"], panel["title"]
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}
        assert cells and not cells & taken and all(x in range(24) for x, _ in cells), title
        taken |= cells
        assert panel["type"] in {"timeseries", "stat", "bargauge"}, title
        assert panel["fieldConfig"]["defaults"]["unit"] and panel["description"].endswith("."), title
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"]) > 0, title
        assert {part["datasource"]["uid"] for part in (panel, *panel["targets"])} == {"${datasource}"}, title
    variables = {variable["name"]: variable for variable in DASHBOARD["templating"]["list"]}
    assert variables["datasource"]["type"] == "datasource" and variables["datasource"]["query"] == "prometheus"
    used = set(re.findall(r"\$\{?(\w+)", json.dumps([panel["targets"] for panel in PANELS])))
    assert used == {"datasource", "instance", "__rate_interval"} and used - {"__rate_interval"} == set(variables)


# ---- the gauges

def test_a_payment_that_does_not_end(pair, series):
    house = pair.house
    assert "visitbill_payment_oldest_seconds" in series
    assert house.metric("visitbill_payment_expired_seconds") == 0
    pair.first.execute("update hospital.payment set created_at = created_at - interval '1 h', expires_at = expires_at - interval '1 h',"
                       " next_check_at = now() + interval '1 h' where state = 'pending'")
    assert 3600 <= house.metric("visitbill_payment_oldest_seconds", channel="wechatpay", state="pending") < 3660
    assert 3000 <= house.metric("visitbill_payment_expired_seconds", channel="wechatpay", state="pending") < 3060
    pair.first.execute("update hospital.payment set next_check_at = now() where state = 'pending'")
    wait_until(lambda: house.metric("visitbill_payment_oldest_seconds") == 0, "the channel to be asked, and the attempt to end")


def test_what_waits_in_quarantine(pair, series):
    house = pair.house
    assert {s["facility"] for s in series["visitbill_quarantine_waiting"]} == {"H01"}
    assert house.metric("visitbill_quarantine_waiting", facility="H01") == 1
    Feed(house.mllp, "STRANGER").dft("W2", ft1("1"))
    assert house.metric("visitbill_quarantine_waiting", facility="unknown") == house.metric("visitbill_quarantine_waiting") - 1 > 0
    assert house.metric("visitbill_quarantine_waiting") == house.metric("visitbill_quarantine")


def test_a_silent_feed(pair, series):
    """One that was never heard is silent from the daemon's start on."""
    house = pair.house
    assert {(s["feed"], s["facility"], s["waits"]) for s in series["visitbill_feed_watermark_lag"]} >= {("clinic", "H01", "yes"), ("lab", "H01", "yes")}
    pair.first.execute("update hospital.feed_watermark set mark = mark - interval '2 h' where feed_id = (select feed_id from hospital.feed where name = 'lab')",
                       "delete from hospital.feed_watermark where feed_id = (select feed_id from hospital.feed where name = 'ward')")
    assert 7200 <= house.metric("visitbill_feed_watermark_lag", feed="lab") < 7300
    wait_until(lambda: 1 <= house.metric("visitbill_feed_watermark_lag", feed="ward") < 300, "the daemon's age")


def test_a_fen_too_much(pair, series):
    """Last: what is captured here is never right again."""
    assert pair.house.metric("visitbill_unexplained_fen") == 0 and series["visitbill_unexplained_fen"] == [{}]
    pair.first.execute("insert into hospital.capture (visit_id, channel, transaction_id, amount, captured_at) select max(visit_id), 'cash', 'stray', 1, now()"
                       " from hospital.visit")
    assert pair.house.metric("visitbill_unexplained_fen") > 0
