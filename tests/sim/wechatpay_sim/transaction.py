"""The transaction object: what a query answers and what a notification carries, encrypted.

Falsified forms are here too: a daemon has to notice each of them although the signature is right.
"""

import copy
import datetime

from .orders import SUCCESS

_SHANGHAI = datetime.timezone(datetime.timedelta(hours=8))
_STATE_TEXT = {"NOTPAY": "订单未支付", "SUCCESS": "支付成功", "CLOSED": "订单已关闭"}


def format_time(timestamp):
    return datetime.datetime.fromtimestamp(int(timestamp), _SHANGHAI).isoformat()


def describe(order):
    """The transaction of an order in any state; the unpaid have fewer fields, as at the channel."""
    transaction = {
        "mchid": order.content["mchid"],
        "appid": order.content["appid"],
        "out_trade_no": order.out_trade_no,
        "trade_state": order.trade_state,
        "trade_state_desc": _STATE_TEXT[order.trade_state],
        "attach": order.content.get("attach", ""),
    }
    if order.trade_state == SUCCESS:
        transaction.update(_describe_payment(order))
    else:
        transaction["amount"] = {"total": order.total, "currency": "CNY"}
    return transaction


def _describe_payment(order):
    return {
        "transaction_id": order.transaction_id,
        "trade_type": "NATIVE",
        "bank_type": "OTHERS",
        "success_time": format_time(order.success_at),
        "payer": {"openid": order.openid},
        "amount": {
            "total": order.total,
            "payer_total": order.total,
            "currency": "CNY",
            "payer_currency": "CNY",
        },
    }


def _other_amount(transaction):
    transaction["amount"]["total"] += 1
    transaction["amount"]["payer_total"] += 1


def _other_digit(text):
    return text[:-1] + ("0" if text[-1] != "0" else "1")


def _other_merchant(transaction):
    transaction["mchid"] = _other_digit(transaction["mchid"])


def _other_app(transaction):
    transaction["appid"] = _other_digit(transaction["appid"])


def _other_order(transaction):
    transaction["out_trade_no"] = "SIM-NO-SUCH-ORDER"


FALSIFIERS = {
    "amount": _other_amount,
    "mchid": _other_merchant,
    "appid": _other_app,
    "order": _other_order,
}


def falsify(transaction, tamper):
    """A copy that is wrong in one field, or the transaction itself where the tamper is not of its content."""
    if tamper not in FALSIFIERS:
        return transaction
    falsified = copy.deepcopy(transaction)
    FALSIFIERS[tamper](falsified)
    return falsified
