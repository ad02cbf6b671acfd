#!/usr/bin/python3
"""The WeChat Pay APIv3 channel simulator's command line; the parts are in wechatpay_sim/.

It does not move money and knows one merchant. Its control routes are unsigned: it must only ever listen on a
loopback address.

    wechatpay.py keys  --dir DIR
    wechatpay.py serve --dir DIR --listen HOST:PORT [--port-file FILE] [--retry-scale N] [--workers N] [--verbose]
"""

import argparse
import os
import sys

from wechatpay_sim import keys, server


def parse_listen(text):
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isdigit() or int(port) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not HOST:PORT")
    return host, int(port)


def parse_scale(text):
    scale = float(text)
    if not 0 < scale <= 1:
        raise argparse.ArgumentTypeError("must be more than 0 and at most 1")
    return scale


def parse_workers(text):
    workers = int(text)
    if not 1 <= workers <= 64:
        raise argparse.ArgumentTypeError("must be from 1 to 64")
    return workers


def parse_arguments():
    parser = argparse.ArgumentParser(description="WeChat Pay APIv3 channel simulator, for tests and the demo")
    commands = parser.add_subparsers(dest="command", required=True)
    make = commands.add_parser("keys", help="make the key material that is absent")
    serve = commands.add_parser("serve", help="serve the merchant API and the control routes until SIGTERM")
    for command in (make, serve):
        command.add_argument("--dir", required=True, help="directory of the keys and of the order book")
    serve.add_argument("--listen", required=True, type=parse_listen, metavar="HOST:PORT", help="port 0: any free one")
    serve.add_argument("--port-file", help="file to write the port to once connections are accepted")
    serve.add_argument("--retry-scale", type=parse_scale, default=0.01, metavar="N",
                       help="scale of the notification retry schedule, 15 s 15 s 30 s 3 m ... (default 0.01)")
    serve.add_argument("--workers", type=parse_workers, default=8, metavar="N",
                       help="threads that deliver notifications (default 8)")
    serve.add_argument("--verbose", action="store_true", help="log requests and deliveries to standard error")
    return parser.parse_args()


def main():
    arguments = parse_arguments()
    os.makedirs(arguments.dir, mode=0o700, exist_ok=True)
    keys.ensure_keys(arguments.dir)
    if arguments.command == "serve":
        server.run(arguments)
    return 0


if __name__ == "__main__":
    sys.exit(main())
