"""A build of the daemon and the tree that it was made from: its programs, and settings in the format that it reads.

Settings are the tree's own conf/visitbilld.embedded.conf, filled in, so an older build gets the format of its day.
"""

import json
import os
import re

CONF = os.path.join("conf", "visitbilld.embedded.conf")
PORTS = ("HTTP", "HTTPS", "OPS", "MLLP", "MLLP2", "MLLPS", "SIM")
ADDRESS_CONNECTIONS = 10_000        # all of the benchmark's connections come from one address; a hospital's don't


class Version:
    def __init__(self, name, build, tree):
        self.name, self.build, self.tree = name, build, tree
        self.template = f"bench_template_{name}"
        self.daemon = os.path.join(build, "daemon", "visitbilld")
        self.ctl = os.path.join(build, "daemon", "ctl", "visitbillctl")

    def settings(self, values, ports, feeds=0, replace=(), many_connections=True):
        """The text of its settings file, and where it listens: {"HTTP": "127.0.0.1:…", …}. Bills wait for the ward's feed alone."""
        with open(os.path.join(self.tree, CONF), encoding="utf-8") as f:
            text = f.read()
        addresses = {name: f"127.0.0.1:{port}" for name, port in zip(PORTS, ports) if f"@{name}@" in text}
        values = {**values, **addresses, "SIM": f"http://{addresses['SIM']}", "NOTIFY": f"http://{addresses['HTTP']}"}
        for name, value in values.items():
            text = text.replace(f"@{name}@", value)
        if left := re.findall(r"@[A-Z0-9_]+@", text):
            raise ValueError(f"{self.tree}/{CONF} asks for unknown values: {', '.join(left)}")
        if many_connections:
            text = re.sub(r"(?m)^(\[listen \w+\])$", rf"\1\naddress_connections = {ADDRESS_CONNECTIONS}", text)
        text = re.sub(r"(?m)^(\[feed (?!ward)\w+\])$", r"\1\nwaits = no", text)
        for old, new in replace:
            text = text.replace(old, new)
        for n in range(1, feeds + 1):
            text += f"\n[feed bench{n:03}]\nfacility = H01\napplication = BENCH{n:03}\nwaits = no\n"
        return text, addresses


def find(name, path):
    """The version at a path: a build folder, or a tree with one in build/. Raises FileNotFoundError where there is none."""
    path = os.path.abspath(path)
    build = next((b for b in (path, os.path.join(path, "build")) if os.path.exists(os.path.join(b, "daemon", "visitbilld"))), None)
    if build is None:
        raise FileNotFoundError(f"{path} holds no build of visitbilld")
    trees = [os.path.dirname(build)]
    try:
        with open(os.path.join(build, "meson-info", "meson-info.json"), encoding="utf-8") as f:
            trees.append(json.load(f)["directories"]["source"])
    except (OSError, KeyError, ValueError):
        pass
    tree = next((t for t in trees if os.path.exists(os.path.join(t, CONF))), None)
    if tree is None:
        raise FileNotFoundError(f"the tree that {build} was made from is not there")
    return Version(name, build, tree)
