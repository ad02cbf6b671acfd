"""scripts/serve as an operator meets it: what it leaves alone at a second start, who runs what, and folders with a blank or behind a closed door."""

import contextlib
import os
import pathlib
import shlex
import shutil
import signal
import subprocess
import tempfile
import time

import pytest

from .api import Client
from .live import BUILD, ROOT, House, address, wait_until

IS_ROOT = os.getuid() == 0
NAMES = {f"VISITBILL_{name}" for name in (
    "HTTP", "HTTPS", "OPS", "MLLP", "MLLP2", "MLLPS", "CA", "PG", "FEED_TOKEN", "KIOSK_TOKEN", "DESK_TOKEN", "OPS_TOKEN", "SIM", "CONF", "CTL", "BIN", "DIR",
    "FACILITY")}
TOKEN = "a-token-of-the-operators-own"
OWN = f"[token spare]\nrole = kiosk\nfacilities = *\nsecret = {TOKEN}\n"


def processes():
    """pid to (parent, name, command line, all user and group ids)."""
    found = {}
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            status = dict(line.split(":\t", 1) for line in (folder / "status").read_text().splitlines() if ":\t" in line)
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
        except OSError:     # gone
            continue
        found[int(folder.name)] = (int(status["PPid"]), status["Name"], command, set((status["Uid"] + status["Gid"] + status["Groups"]).split()))
    return found


def below(pid):
    """What runs below a process, itself not: (name, command line, ids)."""
    every, above, found = processes(), {pid}, []
    while above:
        children = {child for child, (parent, *_) in every.items() if parent in above}
        found += [every[child][1:] for child in children]
        above = children
    return found


def as_root(pid):
    """The programs below a process that run as root though they have no need to."""
    return [command for name, command, ids in below(pid)
            if "0" in ids and (name in ("visitbilld", "visitbillctl", "openssl", "initdb", "postgres") or "python3" in name and "wechatpay.py" in command)]


@contextlib.contextmanager
def serving(folder, root=ROOT, build=BUILD):
    """scripts/serve until it is ready, then DIR/env; what it says is in DIR.out. Nothing runs as root meanwhile, and it ends in order."""
    out = folder.with_name(folder.name + ".out")
    with open(out, "wb") as log:
        serve = subprocess.Popen([root / "scripts/serve", "--dir", folder, "--build", build], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                 start_new_session=True)
    try:
        end = time.monotonic() + 120
        while not (folder / "env").exists() and serve.poll() is None and time.monotonic() < end:
            assert not IS_ROOT or as_root(serve.pid) == []
            time.sleep(0.02)
        assert serve.poll() is None and (folder / "env").exists(), out.read_text("utf-8")
        wait_until(lambda: "VISITBILL_HTTP/v1" in out.read_text("utf-8"), "serve's last words")
        if IS_ROOT:
            wait_until(lambda: not [ids for *_, ids in below(serve.pid) if "0" in ids], "nothing to run as root", timeout=5)
        assert {"postgres", "visitbilld"} <= {name for name, *_ in below(serve.pid)}
        yield dict(word.split("=", 1) for word in shlex.split((folder / "env").read_text("utf-8")))
        assert serve.poll() is None, out.read_text("utf-8")
    finally:
        serve.send_signal(signal.SIGTERM)
        status = serve.wait(90)
    assert status == 0, out.read_text("utf-8")


@pytest.fixture(name="place")
def _place():
    """A folder that everyone passes through; the clusters of the folders in it are removed at the end."""
    place = pathlib.Path(tempfile.mkdtemp(prefix="visitbill-e2e-"))
    place.chmod(0o711)
    yield place
    for note in {path.parent for name in ("state", "cluster", "shared") for path in place.rglob(name)}:
        House.shell('cluster_remove "$1"', note)
    shutil.rmtree(place)


def check_env(env, folder):
    """Every name is there, and the paths are of use to who started it."""
    assert set(env) == NAMES and env["VISITBILL_DIR"] == str(folder)
    for name in ("HTTP", "OPS"):
        assert env[f"VISITBILL_{name}"].startswith("http://127.0.0.1:")
    assert env["VISITBILL_HTTPS"].startswith("https://127.0.0.1:") and env["VISITBILL_MLLPS"].startswith("127.0.0.1:")
    assert env["VISITBILL_CA"] == str(folder / "tls/ca.pem")
    assert subprocess.run([env["VISITBILL_CTL"], "-c", env["VISITBILL_CONF"], "status"], capture_output=True, check=False).returncode == 0
    assert Client(address(env["VISITBILL_OPS"]), None).get("/readyz").status == 200
    assert os.path.samefile(env["VISITBILL_CONF"], folder / "visitbilld.conf")
    for name in ("server", *(f"clients/{client}" for client in ("clinic", "pharmacy", "lab", "kiosk"))):
        subprocess.run(["openssl", "verify", "-CAfile", env["VISITBILL_CA"], "-CRLfile", folder / "tls/revoked.pem", "-crl_check", folder / f"tls/{name}.pem"],
                       check=True, stdout=subprocess.DEVNULL)
        key = (folder / f"tls/{name}.key").stat()
        assert key.st_mode & 0o777 == 0o600 and (not IS_ROOT or key.st_uid != 0)
    conf = (folder / "visitbilld.conf").stat()
    assert conf.st_mode & 0o777 == 0o600


def spare(env):
    """The status of a request with the operator's own token: 404, because the visit is unknown, or 401."""
    return Client(address(env["VISITBILL_HTTP"]), TOKEN).get("/v1/visits/H01/none").status


def test_a_second_start_keeps_what_is_the_operators(place):
    """In a folder with a blank: ports, tokens, keys and conf.d stay, the settings of serve are written anew."""
    folder = place / "our hospital"
    with serving(folder) as first:
        check_env(first, folder)
        assert spare(first) == 401
        told = (folder / "visitbilld.conf").read_text("utf-8")
        assert "conf.d/NAME.conf" in told.splitlines()[0] and "a change here is lost" in told.splitlines()[0]
    own = folder / "conf.d/own.conf"
    own.write_text(OWN, "utf-8")
    own.chmod(0o600)    # as by root's umask of 077
    (folder / "visitbilld.conf").write_text("; changed\n" + told, "utf-8")
    keys = {path: path.read_bytes() for path in (folder / "tls").rglob("*") if path.is_file()}
    changed = own.stat().st_mtime_ns
    with serving(folder) as second:
        assert second == first
        assert spare(second) == 404
    assert own.read_text("utf-8") == OWN and own.stat().st_mtime_ns == changed and own.stat().st_mode & 0o007 == 0
    assert (folder / "visitbilld.conf").read_text("utf-8") == told
    assert {path: path.read_bytes() for path in (folder / "tls").rglob("*") if path.is_file()} == keys

    own.write_text("[token spare]\nrole = king\n", "utf-8")     # a mistake in it is told with the file's name
    with pytest.raises(AssertionError, match="own.conf"), serving(folder):
        pass
    assert not (folder / "env").exists()


def test_behind_a_closed_door(place):
    """Checkout, build folder and DIR where only their owner gets to, as below /root: what the daemon's user needs is elsewhere."""
    closed = place / "closed"
    closed.mkdir(mode=0o700)
    for name in ("scripts", "conf", "tests/sim"):
        shutil.copytree(ROOT / name, closed / "src" / name)
    (closed / "build").mkdir()
    for path in (BUILD / "daemon/visitbilld", BUILD / "daemon/ctl/visitbillctl"):
        (closed / "build" / path.relative_to(BUILD)).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, closed / "build" / path.relative_to(BUILD))
    folder = closed / "dir"
    (folder / "conf.d").mkdir(parents=True)     # the operator was there first
    (folder / "conf.d/own.conf").write_text(OWN, "utf-8")
    with serving(folder, closed / "src", closed / "build") as env:
        check_env(env, folder)
        assert spare(env) == 404
        assert os.access(env["VISITBILL_BIN"], os.X_OK)
    with serving(folder, closed / "src", closed / "build") as again:
        assert again == env and spare(again) == 404
    assert (folder / "conf.d/own.conf").read_text("utf-8") == OWN
    if IS_ROOT:
        shared = pathlib.Path(env["VISITBILL_CONF"]).parent
        assert shared.parent == pathlib.Path("/var/tmp") and shared.stat().st_uid == 0
        House.shell('cluster_remove "$1"', folder)
        assert not shared.exists()
