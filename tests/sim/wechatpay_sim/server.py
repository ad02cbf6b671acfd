"""HTTP/1.1 with keep-alive, one thread a connection, and the life of the process.

What a request means is for merchant_api and control_api; here it is only read and answered.
"""

import os
import signal
import socketserver
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from .control_api import ControlApi
from .faults import FaultPlan
from .keys import load_channel, write_atomically
from .merchant_api import MerchantApi
from .notify import Notifier
from .orders import OrderBook
from .wire import PlatformSigner, Reply, Request

_LARGEST_BODY = 1 << 20
_IDLE_S = 300


class SimulatorServer(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False  # an idle kept connection must not hold up the end
    request_queue_size = 512

    def __init__(self, address, merchant_api, control_api, verbose):
        self.merchant_api = merchant_api
        self.control_api = control_api
        self.verbose = verbose
        super().__init__(address, _Handler)

    def server_bind(self):
        # Not HTTPServer's: it asks DNS for the name of the address, which can take long on a machine without DNS.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]

    def handle_error(self, request, client_address):
        # A client that went away is what the tests do on purpose; anything else is a bug and shows its traceback.
        if not isinstance(sys.exc_info()[1], (ConnectionError, TimeoutError)):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # head and body leave in one segment
    timeout = _IDLE_S

    def do_GET(self):
        self._serve()

    def do_POST(self):
        self._serve()

    def handle_expect_100(self):
        proceed = super().handle_expect_100()
        self.wfile.flush()  # or the client waits for it before it sends the body
        return proceed

    def _serve(self):
        body = self._read_body()
        if body is None:
            return
        request = Request(self.command, self.path, self.headers, body)
        api = self.server.control_api if request.path.startswith("/sim/") else self.server.merchant_api
        self._send(api.answer(request))

    def _read_body(self):
        """The body, or None where an error was answered instead."""
        if "Transfer-Encoding" in self.headers:
            return self._refuse(411)
        length = self.headers.get("Content-Length", "0")
        if not (length.isascii() and length.isdigit()):
            return self._refuse(400)
        if int(length) > _LARGEST_BODY:
            return self._refuse(413)
        body = self.rfile.read(int(length))
        if len(body) < int(length):
            self.close_connection = True
            return None
        return body

    def _refuse(self, status):
        self.close_connection = True
        self._send(Reply(status, headers={"Connection": "close"}))

    def _send(self, reply):
        if reply.drop:
            self.log_message("%s: dropped without an answer", self.requestline)
            self.close_connection = True
            return
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        if reply.status != 204:
            self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        self.wfile.write(reply.body)
        self.wfile.flush()

    def version_string(self):
        return "nginx"

    def log_message(self, format, *arguments):
        if self.server.verbose:
            print("http", format % arguments, file=sys.stderr, flush=True)


def run(arguments):
    """Serve until SIGTERM or SIGINT."""
    # Threads that come back from RSA or from a socket wait for Python's global lock; 5 ms at a time is too long here.
    sys.setswitchinterval(0.0005)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    channel = load_channel(arguments.dir)
    signer = PlatformSigner(channel.platform_key, channel.platform_serial)
    orders = OrderBook(os.path.join(arguments.dir, "orders.jsonl"))
    faults = FaultPlan()
    notifier = Notifier(channel, signer, arguments.retry_scale, arguments.workers, arguments.verbose)
    merchant_api = MerchantApi(channel, signer, orders, faults)
    control_api = ControlApi(orders, faults, notifier)
    with _listen(arguments.listen, merchant_api, control_api, arguments.verbose) as server:
        threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True).start()
        _announce(server, arguments.port_file)
        stop.wait()
        server.shutdown()
    notifier.stop()
    orders.shut()


def _listen(address, *parts):
    try:
        return SimulatorServer(address, *parts)
    except OSError as error:
        raise SystemExit(f"cannot listen on {address[0]}:{address[1]}: {error.strerror}") from None


def _announce(server, port_file):
    if port_file:
        write_atomically(port_file, f"{server.server_port}\n".encode(), 0o644)
    print(f"wechatpay simulator ready on http://{server.server_name}:{server.server_port}", flush=True)
