"""A client of the daemon's HTTP interface for one thread: a kept connection, a bearer token, JSON both ways."""

import http.client
import json
import time
from urllib.parse import urlsplit

_TIMEOUT_S = 90


class ApiError(Exception):
    """An answer that nobody expected."""


class Api:
    def __init__(self, url, token=None):
        self._address = urlsplit(url).netloc
        self._headers = {"Content-Type": "application/json"}
        if token:
            self._headers["Authorization"] = f"Bearer {token}"
        self._connection = None

    def call(self, method, path, document=None, body=None, key=None):
        """Status and document. The body is `document` as JSON, or the bytes of `body`."""
        if document is not None:
            body = json.dumps(document, ensure_ascii=False).encode()
        headers = {**self._headers, "Idempotency-Key": key} if key else self._headers
        response = self._exchange(method, path, body, headers)
        content = response.read()
        try:
            return response.status, json.loads(content) if content else None
        except ValueError:
            raise ApiError(f"{method} {path}: {response.status} with a body that is not JSON: {content[:200]!r}") from None

    def get(self, path):
        return self._expect(200, "GET", path)

    def post(self, path, document, key=None, status=200):
        return self._expect(status, "POST", path, document, key=key)

    def events(self, path):
        """The documents of a stream of server-sent events, on a connection of its own; close the generator to leave."""
        connection = http.client.HTTPConnection(self._address, timeout=_TIMEOUT_S)
        try:
            connection.request("GET", path, headers={**self._headers, "Accept": "text/event-stream"})
            response = connection.getresponse()
            if response.status != 200:
                raise ApiError(f"GET {path}: {response.status}")
            while line := response.readline():
                if line.startswith(b"data:"):
                    yield json.loads(line[5:])
        finally:
            connection.close()

    def close(self):
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _expect(self, wanted, method, path, document=None, key=None):
        status, answer = self.call(method, path, document, key=key)
        ends = time.monotonic() + _TIMEOUT_S
        while status == 503 and time.monotonic() < ends:    # "send again", says the answer, and a payment has its key
            time.sleep(0.2)
            status, answer = self.call(method, path, document, key=key)
        if status not in (wanted, 200 if key else wanted):
            raise ApiError(f"{method} {path}: {status} {json.dumps(answer, ensure_ascii=False)}")
        return answer

    def _exchange(self, method, path, body, headers):
        kept = self._connection is not None
        if not kept:
            self._connection = http.client.HTTPConnection(self._address, timeout=_TIMEOUT_S)
        try:
            self._connection.request(method, path, body, headers)
            return self._connection.getresponse()
        except (http.client.RemoteDisconnected, ConnectionError):
            self.close()
            if not kept:
                raise
            # the server may close a connection that was idle; everything sent here may be sent again
            return self._exchange(method, path, body, headers)
        except (OSError, http.client.HTTPException):
            self.close()
            raise
