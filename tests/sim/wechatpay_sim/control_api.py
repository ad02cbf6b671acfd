"""The control routes, /sim/...: the patient's phone, planned failures, and what a test wants to see.

Unsigned and not part of WeChat Pay. A field or a value that is not known is refused, so that a slip in a test
does not pass as the default.
"""

import json
from urllib.parse import parse_qs, unquote

from . import faults, notify, transaction, wire
from .wire import ChannelError

_MODES = ("normal", "none", "twice", "late")
_LATE_MS = 1000
_LONGEST_DELAY_MS = 600_000


class BadControl(Exception):
    """A control request that makes no sense."""


class ControlApi:
    def __init__(self, orders, fault_plan, notifier):
        self._orders = orders
        self._faults = fault_plan
        self._notifier = notifier
        self._routes = {
            ("POST", "/sim/pay"): self._pay,
            ("POST", "/sim/notify"): self._notify_again,
            ("POST", "/sim/fault"): self._plan_fault,
            ("GET", "/sim/orders"): self._list_orders,
            ("GET", "/sim/notifications"): self._list_notifications,
            ("GET", "/sim/totals"): self._totals,
        }

    def answer(self, request):
        try:
            return wire.json_reply(200, self._handle(request))
        except BadControl as error:
            return wire.json_reply(400, {"code": "SIM_BAD_REQUEST", "message": str(error)})
        except ChannelError as error:
            status = 404 if error.status == 404 else 409
            return wire.json_reply(status, error.document())

    def _handle(self, request):
        handler = self._routes.get((request.method, request.path))
        if handler is not None:
            return handler(request)
        if request.method == "GET" and request.path.startswith("/sim/orders/"):
            return _describe(self._orders.find(unquote(request.path[len("/sim/orders/"):])))
        raise ChannelError("RESOURCE_NOT_EXISTS")

    def _pay(self, request):
        """The patient's phone scans the code and pays."""
        options = _NotifyOptions(_parse(request.body))
        order = self._orders.pay(self._find(options).out_trade_no)
        return {**_describe(order), **self._send(order, options)}

    def _notify_again(self, request):
        """One more notification of an order that is paid already."""
        options = _NotifyOptions(_parse(request.body))
        order = self._find(options)
        if order.transaction_id is None:
            raise BadControl("the order is not paid")
        return {**_describe(order), **self._send(order, options)}

    def _find(self, options):
        if options.code_url is not None:
            return self._orders.find_by_code_url(options.code_url)
        return self._orders.find(options.out_trade_no)

    def _send(self, order, options):
        deliveries = []
        if options.mode != "none":
            copies = 2 if options.mode == "twice" else 1
            deliveries = self._notifier.send(order, options.tamper, copies, options.delay_s)
        if not options.wait:
            return {}
        answers = [_wait(delivery, options.delay_s) for delivery in deliveries]
        return {"notification": answers[0] if answers else None, "notifications": answers}

    def _plan_fault(self, request):
        document = _parse(request.body)
        _refuse_unknown(document, {"route", "mode", "count", "delay_ms"})
        route = _one_of(document, "route", faults.ROUTES)
        count = _integer(document, "count", 1, 1_000_000)
        if count == 0:
            self._faults.clear(route)
        else:
            mode = _one_of(document, "mode", faults.MODES)
            self._faults.add(route, mode, count, _integer(document, "delay_ms", None, _LONGEST_DELAY_MS))
        return {"pending": self._faults.pending()}

    def _list_orders(self, _request):
        return {"orders": [_describe(order) for order in self._orders.all_orders()]}

    def _list_notifications(self, request):
        wanted = parse_qs(request.query).get("out_trade_no", [None])[0]
        return {"notifications": self._notifier.log(wanted)}

    def _totals(self, _request):
        return self._orders.totals()


class _NotifyOptions:
    """The body of /sim/pay and /sim/notify."""

    _FIELDS = {"code_url", "out_trade_no", "notify", "tamper", "delay_ms", "wait"}

    def __init__(self, document):
        _refuse_unknown(document, self._FIELDS)
        self.code_url = document.get("code_url")
        self.out_trade_no = document.get("out_trade_no")
        named = [name for name in (self.code_url, self.out_trade_no) if name is not None]
        if len(named) != 1 or not isinstance(named[0], str):
            raise BadControl("give code_url or out_trade_no, as a string")
        self.mode = _one_of(document, "notify", _MODES, "normal")
        self.tamper = _one_of(document, "tamper", (None, *notify.TAMPERS), None)
        self.wait = _one_of(document, "wait", (True, False), False)
        delay_ms = _integer(document, "delay_ms", _LATE_MS, _LONGEST_DELAY_MS)
        self.delay_s = delay_ms / 1000 if self.mode == "late" else 0.0


def _describe(order):
    return {
        "out_trade_no": order.out_trade_no,
        "trade_state": order.trade_state,
        "total": order.total,
        "code_url": order.code_url,
        "transaction_id": order.transaction_id,
        "description": order.content["description"],
        "attach": order.content.get("attach"),
        "notify_url": order.content["notify_url"],
        "time_expire": order.content.get("time_expire"),
        "created_at": transaction.format_time(order.created_at),
        "success_time": order.success_at and transaction.format_time(order.success_at),
    }


def _wait(delivery, delay_s):
    """The answer to the first attempt. The margin is for a queue of slow ones before it."""
    if not delivery.answered.wait(delay_s + 10 * notify.ANSWER_TIMEOUT_S):
        return {"id": delivery.id, **vars(notify.Answer(error="not sent in time"))}
    return {"id": delivery.id, **vars(delivery.first_answer)}


def _parse(body):
    try:
        document = json.loads(body)
    except ValueError:
        raise BadControl("the body is not JSON") from None
    if not isinstance(document, dict):
        raise BadControl("the body is not an object")
    return document


def _refuse_unknown(document, known):
    unknown = sorted(set(document) - known)
    if unknown:
        raise BadControl(f"unknown field {unknown[0]!r}")


def _one_of(document, name, allowed, *default):
    value = document.get(name, *default)
    # By type as well: 1 equals True in Python and is not `true` in JSON.
    if not any(type(value) is type(choice) and value == choice for choice in allowed):
        raise BadControl(f"{name} must be one of {', '.join(json.dumps(choice) for choice in allowed)}")
    return value


def _integer(document, name, default, largest):
    value = document.get(name, default)
    if value is default:
        return value
    if type(value) is not int or not 0 <= value <= largest:
        raise BadControl(f"{name} must be a whole number from 0 to {largest}")
    return value
