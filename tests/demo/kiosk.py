"""A kiosk where patients settle before the end: the interim bill as the oracle says, and its payment at once, while the visit is open."""

import asyncio

from .api import Api, ApiError
from .lines import fen
from .payers import Payer, PayerError


class Kiosk:
    def __init__(self, env, progress):
        self._api = Api(env.http, env.kiosk_token)
        self._payer = Payer(None, env, progress)
        self._progress = progress

    async def play(self, steps):
        await asyncio.to_thread(self._play, steps)

    def _play(self, steps):
        for step in steps:
            visit = step.message.visit
            try:
                self._settle(visit, step.expected)
            except (ApiError, PayerError, OSError) as error:
                self._progress.problem(f"visit {visit.visit_no}: settle now: {error}")

    def _settle(self, visit, expected):
        answer = self._api.post(f"/v1/visits/{visit.facility}/{visit.visit_no}/settle", {}, status=200)
        bills = answer["bills"]
        issued = next((bill for bill in bills if bill["bill"] == answer["bill"]), None)
        if issued is None and self._progress.failover and expected.issued:
            issued = bills[-1]          # issued on the server that died, and heard of by nobody
        found = answer["state"], len(bills), issued and (issued["kind"], fen(issued["total"]))
        wanted = "open", expected.bills, expected.issued
        if found != wanted:
            self._progress.problem(f"visit {visit.visit_no}: settle now: expected {wanted}, found {found}")
        elif expected.pay:
            self._payer.pay(issued["bill"], "early", expected.pay)

    def close(self):
        self._api.close()
        self._payer.close()
