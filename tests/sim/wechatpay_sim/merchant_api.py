"""The merchant API, /v3/pay/transactions: requests verified, replies signed, faults applied.

Every reply is signed, refusals too; only the `500` fault answers as a gateway in front of the channel would.
"""

import re
import time
from urllib.parse import parse_qs, unquote

from . import transaction, validation, wire
from .wire import ChannelError, Reply

_PREFIX = "/v3/pay/transactions"
_GATEWAY_PAGE = b"<html><body><h1>500 Internal Server Error</h1></body></html>\n"


class MerchantApi:
    def __init__(self, channel, signer, orders, faults):
        self._channel = channel
        self._signer = signer
        self._orders = orders
        self._faults = faults
        self._verifier = wire.MerchantVerifier(channel)
        # method, path, the name that faults know the route by, handler
        self._routes = [
            ("POST", re.compile(rf"{_PREFIX}/native"), "native", self._place),
            ("GET", re.compile(rf"{_PREFIX}/out-trade-no/([^/]+)"), "query", self._query),
            ("GET", re.compile(rf"{_PREFIX}/id/([^/]+)"), "query", self._query_by_transaction),
            ("POST", re.compile(rf"{_PREFIX}/out-trade-no/([^/]+)/close"), "close", self._close),
        ]

    def answer(self, request):
        name, handler, arguments = self._route(request)
        fault = self._faults.take(name)
        if fault is None:
            return self._signed(self._process(request, handler, arguments))
        return self._answer_faulty(fault, request, handler, arguments)

    def _route(self, request):
        for method, pattern, name, handler in self._routes:
            match = pattern.fullmatch(request.path)
            if match and method == request.method:
                return name, handler, [unquote(group) for group in match.groups()]
        return None, None, []

    def _answer_faulty(self, fault, request, handler, arguments):
        if fault.mode == "500":
            time.sleep(fault.delay_s)
            return Reply(500, _GATEWAY_PAGE, {"Content-Type": "text/html"})
        if fault.mode == "system_error":
            time.sleep(fault.delay_s)
            return self._signed(wire.error_reply(ChannelError("SYSTEM_ERROR")))
        if fault.mode == "slow":
            time.sleep(fault.delay_s)
            return self._signed(self._process(request, handler, arguments))
        reply = self._process(request, handler, arguments)
        time.sleep(fault.delay_s)
        reply.drop = fault.mode == "drop"
        return self._signed(reply, corrupt=fault.mode == "bad_signature")

    def _signed(self, reply, corrupt=False):
        # Signed last, so that a reply that was held back still carries a fresh timestamp.
        reply.headers.update(self._signer.headers(reply.body, corrupt=corrupt))
        return reply

    def _process(self, request, handler, arguments):
        try:
            self._require_headers(request)
            self._verifier.verify(request)
            if handler is None:
                raise ChannelError("RESOURCE_NOT_EXISTS")
            return handler(request, *arguments)
        except ChannelError as error:
            return wire.error_reply(error)

    def _require_headers(self, request):
        """The channel refuses a request without these; libcurl sends no User-Agent unless it is told to."""
        if not request.headers.get("Accept") or not request.headers.get("User-Agent"):
            raise ChannelError("INVALID_REQUEST", "Http头缺少Accept或User-Agent")
        content_type = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if request.method == "POST" and content_type != "application/json":
            raise ChannelError("INVALID_REQUEST", "Http头Content-Type应为application/json")
        serial = request.headers.get("Wechatpay-Serial")
        if serial not in (None, self._channel.platform_serial):
            raise wire.parameter_error("header", "Wechatpay-Serial", serial, "不是本商户号的微信支付公钥ID")

    def _place(self, request):
        content = validation.parse_object(request.body)
        validation.require_native_order(content, self._channel)
        return wire.json_reply(200, {"code_url": self._orders.place(content).code_url})

    def _query(self, request, number):
        self._require_merchant_in_query(request)
        return wire.json_reply(200, transaction.describe(self._orders.find(number)))

    def _query_by_transaction(self, request, transaction_id):
        self._require_merchant_in_query(request)
        return wire.json_reply(200, transaction.describe(self._orders.find_by_transaction(transaction_id)))

    def _close(self, request, number):
        content = validation.parse_object(request.body)
        validation.require_merchant(content.get("mchid"), self._channel)
        self._orders.close(number)
        return Reply(204)

    def _require_merchant_in_query(self, request):
        values = parse_qs(request.query).get("mchid", [None])
        validation.require_merchant(values[0], self._channel, where="query")
