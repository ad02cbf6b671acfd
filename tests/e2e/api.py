"""HTTP for the tests: the daemon's JSON API and the channel simulator's control routes. Each error is looked at on the way: it is problem+json with
all its fields, whatever the test was about."""

import http.client
import itertools
import json
import threading

from .feeds import PATIENT, iso_time

FACILITY = "H01"
_keys = itertools.count(1)


class Reply:
    def __init__(self, response):
        self.status, self.headers = response.status, response.headers
        self.body = response.read()

    @property
    def text(self):
        return self.body.decode("utf-8")

    @property
    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"<{self.status} {self.text[:300]}>"


def check_problem(reply):
    """RFC 9457, and what proto/openapi.yaml adds."""
    assert reply.headers["Content-Type"] == "application/problem+json", reply
    problem = reply.json
    assert {"type", "title", "status", "detail", "reason", "retry"} <= set(problem), problem
    assert problem["status"] == reply.status and problem["title"] and problem["detail"], problem
    assert problem["retry"] is (reply.status in (408, 429, 503)) or problem["reason"] == "payment_in_progress", problem
    if reply.status == 401:
        assert reply.headers["WWW-Authenticate"].startswith("Bearer"), reply.headers
    if reply.status == 503:
        assert int(reply.headers["Retry-After"]) > 0, reply.headers
    if reply.status == 405:
        assert reply.headers["Allow"], reply.headers
    return problem


class Client:
    """One who asks, with a token or without."""

    def __init__(self, address, token):
        self.address, self.token = address, token

    def connect(self):
        return http.client.HTTPConnection(*self.address, timeout=60)

    def request(self, method, path, body=None, **headers):
        """headers: named with _ for -. A dict becomes JSON."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.token is not None:
            sent["Authorization"] = f"Bearer {self.token}"
        if isinstance(body, (dict, list)):
            body = json.dumps(body, ensure_ascii=False).encode()
            sent.setdefault("Content-Type", "application/json")
        connection = self.connect()
        try:
            connection.request(method, path, body, sent)
            reply = Reply(connection.getresponse())
        finally:
            connection.close()
        if reply.status >= 400 and path.startswith("/v1") and method != "HEAD":
            check_problem(reply)
        return reply

    def get(self, path, **headers):
        return self.request("GET", path, **headers)

    def post(self, path, body=None, **headers):
        return self.request("POST", path, body, **headers)

    # ---- feeds

    def open(self, visit, **more):
        return self.post("/v1/visits", {"facility": FACILITY, "visit_no": visit, "class": "outpatient", "admitted_at": iso_time(), "as_of": iso_time(),
                                        "patient": {"patient_no": f"PN-{visit}", "name": PATIENT, "sex": "F"}, **more})

    def charge(self, *lines, **more):
        """Books lines; the reply's JSON."""
        reply = self.post("/v1/charges", {"as_of": iso_time(), "lines": list(lines), **more})
        assert reply.status == 200, reply
        return reply.json

    def heartbeat(self, at=None):
        reply = self.post("/v1/charges", {"as_of": iso_time(at), "lines": []})
        assert reply.status == 200 and reply.json["received"] == 0, reply

    def discharge(self, visit):
        at = iso_time()
        return self.post(f"/v1/visits/{FACILITY}/{visit}/discharge", {"discharged_at": at, "as_of": at})

    def reopen(self, visit):
        return self.request("DELETE", f"/v1/visits/{FACILITY}/{visit}/discharge")

    # ---- kiosks

    def visit(self, visit):
        reply = self.get(f"/v1/visits/{FACILITY}/{visit}")
        assert reply.status == 200, reply
        return reply.json

    def bills(self, visit):
        reply = self.get(f"/v1/visits/{FACILITY}/{visit}/bills")
        assert reply.status == 200, reply
        return reply.json

    def bill(self, bill, lines=False):
        reply = self.get(f"/v1/bills/{bill}" + ("?lines=all" if lines else ""))
        assert reply.status == 200, reply
        return reply.json

    def pay(self, bill, amount, channel="wechatpay", key=None, **more):
        return self.post(f"/v1/bills/{bill}/payments", {"channel": channel, "amount": amount, **more}, Idempotency_Key=key or f"key-{next(_keys)}")

    def payment(self, payment):
        reply = self.get(f"/v1/payments/{payment}")
        assert reply.status == 200, reply
        return reply.json

    def receipt(self, receipt):
        reply = self.get(f"/v1/receipts/{receipt}")
        assert reply.status == 200, reply
        return reply.json


class Simulator(Client):
    """The channel's other side: the patient's phone, and what the channel knows."""

    def __init__(self, address):
        super().__init__(address, None)

    def _post(self, path, document):
        reply = self.post(path, document)
        assert reply.status == 200, reply
        return reply.json

    def pay(self, payment=None, **more):         # pylint: disable=arguments-differ
        """The phone scans the payment's code. Returns the answer to the first notification, where one was waited for."""
        if payment is not None:
            more["code_url"] = payment["code_url"]
        return self._post("/sim/pay", {"wait": True, **more}).get("notification")

    def notify(self, payment, **more):
        return self._post("/sim/notify", {"code_url": payment["code_url"], "wait": True, **more})["notification"]

    def fault(self, route, mode="timeout", count=1, **more):
        self._post("/sim/fault", {"route": route, "mode": mode, "count": count, **more})

    def order(self, number):
        return self.get(f"/sim/orders/{number}")


def line(visit, source, amount="12.50", **more):
    """A charge line of the JSON API; None takes a field out."""
    fields = {"visit_no": visit, "source_line": source, "code": "X1", "name": "项目", "category": "03", "quantity": "1", "amount": amount,
              "charged_at": iso_time(), **more}
    return {key: value for key, value in fields.items() if value is not None}


def together(*jobs):
    """Calls the jobs at the same moment, a thread each; what they return, in their order."""
    results, barrier = [None] * len(jobs), threading.Barrier(len(jobs))

    def run(index):
        barrier.wait()
        try:
            results[index] = jobs[index]()
        except BaseException as error:           # pylint: disable=broad-except
            results[index] = error

    threads = [threading.Thread(target=run, args=(index,)) for index in range(len(jobs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return results
