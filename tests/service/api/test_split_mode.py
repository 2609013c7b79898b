"""Split mode: api and worker as two users of the operating system. The api's user cannot open root key, vault, keystore or ledger; together they answer questions.

As root the test becomes the two users. Elsewhere it shows the permissions that the first start sets.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import site
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.front_door import SoftPasskey
from tests.ports import free_ports
from tests.service.api.conftest import House, RunningService, furnish
from tests.service.api.test_thin_path import asking

from casehaven.core.service_store import ServiceStore
from casehaven.organisations.members import member_named
from casehaven.serving.folder import ServiceFolder
from casehaven.signin.passkeys import add_passkey, registration_options
from casehaven.signin.sign_in_key import SignInKey
from casehaven.signin.site import Site

ROOT = Path(__file__).resolve().parents[3]

API, WORKER, GROUP = 61_001, 61_002, 61_000
"""Numbers of users that need not have names."""

_START = """
import os, sys
from casehaven.cli import main
os.setgroups([])
os.setgid(int(sys.argv[2]))
os.setuid(int(sys.argv[1]))
os.umask(0o007)
main(sys.argv[3:])
"""


@dataclass(frozen=True, kw_only=True)
class Interpreter:
    """A Python that every user may run: this one may be in a home where others may not read."""

    executable: Path
    log: Path

    @classmethod
    def copied(cls, base: Path) -> Interpreter:
        """Copy the standard library and the program; packages stay where they are."""
        home, version = Path(sys.base_prefix), f"python{sys.version_info.major}.{sys.version_info.minor}"
        needless = (
            "site-packages",
            "test",
            "tests",
            "idlelib",
            "ensurepip",
            "lib2to3",
            "tkinter",
            "turtledemo",
            "config-3*",
        )
        ignored = shutil.ignore_patterns(
            *needless, "*.opt-?.pyc"
        )  # what was compiled comes along: each start is a second shorter
        shutil.copytree(home / "lib" / version, base / "python" / "lib" / version, ignore=ignored)
        program = base / "python" / "bin" / version
        program.parent.mkdir()
        shutil.copy(Path(sys.executable).resolve(), program)
        return cls(executable=program, log=base / "log")

    def environment(self) -> dict[str, str]:
        """Where its packages are."""
        places = [site.getsitepackages()[0], *(str(ROOT / name) for name in ("platform", "synth", "schemas"))]
        return {"PYTHONPATH": os.pathsep.join(places), "PATH": "/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1"}


@contextmanager
def as_user(user: int, python: Interpreter, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run `casehaven` as a user while the block runs."""
    with python.log.open("ab") as out:
        process = subprocess.Popen(
            [str(python.executable), "-c", _START, str(user), str(GROUP), *arguments],
            stdout=out,
            stderr=out,
            stdin=subprocess.DEVNULL,
            env=python.environment(),
            cwd="/",
        )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(60)


@pytest.mark.skipif(
    os.geteuid() != 0, reason="only root becomes other users; the permissions are shown by the other test"
)
def test_the_apis_user_opens_no_key_and_both_together_answer() -> None:
    base = Path(tempfile.mkdtemp(prefix="casehaven-split-"))
    try:
        _split(base)
    finally:
        shutil.rmtree(base)


def _split(base: Path) -> None:
    base.chmod(0o711)
    python = Interpreter.copied(base)
    keep, folder, log = base / "keep", base / "service", python.log
    for path, owner, mode in ((keep, WORKER, 0o700), (folder, API, 0o2770)):
        path.mkdir()
        os.chown(path, owner, GROUP)
        path.chmod(mode)
    places = ["--vault", str(keep / "vault"), "--root-key", f"file:{keep / 'root.key'}"]
    places += ["--ledger", str(keep / "ledger.sqlite"), "--signing-key", str(keep / "signing.pem")]
    for words in (
        ["vault", "create", *places[:4]],
        ["ledger", "create", "--ledger", str(keep / "ledger.sqlite"), "--epsilon", "5"],
        ["keys", "create", "--key", str(keep / "signing.pem")],
    ):
        with as_user(WORKER, python, *words) as made:
            assert made.wait(120) == 0, log.read_text()
    port, status_port = free_ports(2)
    api = ["serve", "api", "--folder", str(folder), "--port", str(port), "--status-port", str(status_port)]
    with (
        as_user(API, python, *api) as process,
        as_user(WORKER, python, "serve", "worker", "--folder", str(folder), *places),
    ):
        running = RunningService(folder=folder, port=port, status_port=status_port, process=process, log=log)
        running.wait(lambda: running.health() == {"store": "ok", "worker": "ok"}, 60)
        house = furnish(running, people=60)
        answer = house.researcher.done("/v1/answers", asking())
        assert answer["charged_nano_rho"] > 0
        _signs(house)
        for client in running._clients:
            client.close()
        for path in [keep, *keep.rglob("*")]:
            assert not _may_read(path), path
        assert _may_read(folder / "service.sqlite")
        for path in (folder / "api.key", folder / "signin.key"):
            assert stat.S_IMODE(path.stat().st_mode) == 0o600 and path.stat().st_uid == API


def _signs(house: House) -> None:
    """A steward with a passkey signs what decrypts: the worker takes that once, for what was signed, and nothing without it."""
    north, store = house.north, house.running.store
    path, body = "/v1/datasets/north/cases/people/show", {"reference": house.person, "reason": "a call"}
    assert north.post(path, body).status_code == 200  # no passkey yet: the session's second factor counts
    passkey = SoftPasskey(origin=house.running.origin)
    front = Site(database=store.database, key=SignInKey.create(), origin=house.running.origin)
    with store.writing() as connection:
        steward = member_named(connection, north.handle)
        add_passkey(
            connection, front, steward, passkey.register(registration_options(connection, front, steward)), name="own"
        )
    needed = north.post(path, body)
    assert (needed.status_code, needed.json()["code"]) == (428, "assertion-needed")
    found = needed.json()
    answer = passkey.sign({"challenge": found["challenge"]})
    text = json.dumps({"nonce": found["nonce"], "at": found["at"], "assertion": answer}).encode()
    signed = {found["header"]: base64.urlsafe_b64encode(text).decode().rstrip("=")}
    shown = north.post(path, body, headers=signed)
    assert shown.status_code == 200 and shown.json()["result"]["found"] is True, shown.text
    for other in (body, {**body, "reason": "another"}):  # used before; another request
        refused = north.post(path, other, headers=signed)
        assert (refused.status_code, refused.json()["code"]) == (403, "job-assertion"), refused.text
    assert north.post(path.replace("show", "find"), body).status_code == 200


def _may_read(path: Path) -> bool:
    """Whether the api's user may list or read something."""
    child = os.fork()
    if child == 0:
        os.setgroups([])
        os.setgid(GROUP)
        os.setuid(API)
        try:
            if path.is_dir():
                os.listdir(path)
            else:
                path.read_bytes()
            os._exit(1)
        except PermissionError:
            os._exit(0)
        finally:
            os._exit(2)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != 0


def test_the_first_start_of_one_user_is_for_that_user_alone(tmp_path: Path) -> None:
    folder = tmp_path / "service"
    ServiceFolder.at(folder).make(epsilon="1")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for name in ("root.key", "signing.pem", "ledger.sqlite"):
        assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600, name
    shared = tmp_path / "shared"
    ServiceStore.create(shared)
    assert stat.S_IMODE((shared / "service.sqlite").stat().st_mode) == 0o660
    assert stat.S_IMODE((shared / "uploads").stat().st_mode) == 0o2770


def test_a_missing_vault_or_ledger_is_never_made_anew(tmp_path: Path) -> None:
    from casehaven.serving.errors import UnfinishedFolderError

    folder = tmp_path / "service"
    place = ServiceFolder.at(folder)
    place.make(epsilon="1")
    place.make(epsilon="1")  # a second start finds everything
    (folder / "ledger.sqlite").rename(tmp_path / "elsewhere")
    with pytest.raises(UnfinishedFolderError, match=r"ledger\.sqlite is missing"):
        place.make(epsilon="1")
    assert not (folder / "ledger.sqlite").exists()


def test_an_address_that_others_reach_needs_a_certificate_or_a_proxy() -> None:
    from casehaven.serving.api_process import Listening
    from casehaven.serving.errors import OpenAddressError

    for host in ("0.0.0.0", "::", "192.0.2.7", "cases.example"):
        with pytest.raises(OpenAddressError):
            Listening(host=host)
        Listening(host=host, proxy="192.0.2.1")
        Listening(host=host, certificate=Path("c.pem"), private_key=Path("k.pem"))
    Listening(host="127.0.0.1")
