"""Root keys: each way to keep one wraps and unwraps, says what is wrong when it cannot, and shows the key to nobody."""

from __future__ import annotations

import hmac
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from casehaven.vault.context import SealContext
from casehaven.vault.errors import LooseRootKeyError, RootKeyError, RootKeyProviderError, SealBrokenError
from casehaven.vault.rootkeys import (
    HeldKey,
    PassphraseCost,
    Pkcs11Key,
    RootKey,
    create_file_key,
    create_pkcs11_key,
    create_root,
    environment_key,
    file_key,
    key_text,
    parse_root,
    passphrase_key,
    pkcs11_key,
)
from casehaven.vault.sealed import new_key

CHEAP = PassphraseCost(memory_kib=64, iterations=1, lanes=1)
PASSPHRASE = "five words drawn by dice"
CONTEXT = SealContext(kind="vault-key", organisation="", object_id="linkage")
SOFTHSM = next(
    (p for p in map(Path, ("/usr/lib/softhsm/libsofthsm2.so", "/usr/lib64/pkcs11/libsofthsm2.so")) if p.exists()), None
)
PIN = "a PIN of the token"


@pytest.fixture(scope="session")
def token(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A SoftHSM token of its own; its library, as a root key is named."""
    pytest.importorskip("pkcs11")
    if SOFTHSM is None or shutil.which("softhsm2-util") is None:
        pytest.skip("SoftHSM is absent")
    folder = tmp_path_factory.mktemp("softhsm")
    (folder / "tokens").mkdir()
    (folder / "softhsm2.conf").write_text(f"directories.tokendir = {folder / 'tokens'}\n", encoding="utf-8")
    os.environ["SOFTHSM2_CONF"] = str(folder / "softhsm2.conf")  # the library reads it once in a process
    for label in ("vault", "spare"):
        subprocess.run(
            ["softhsm2-util", "--init-token", "--free", "--label", label, "--pin", PIN, "--so-pin", "another PIN"],
            check=True,
            capture_output=True,
        )
    return str(SOFTHSM)


def _wraps_like(one: RootKey, other: RootKey) -> bool:
    key = new_key()
    return other.unwrap(one.wrap(key, CONTEXT), CONTEXT) == key


# files and the environment


def test_a_key_file_is_read_back_and_only_its_owner_may_read_it(tmp_path: Path) -> None:
    made = create_file_key(tmp_path / "root.key")
    assert (tmp_path / "root.key").stat().st_mode & 0o777 == 0o600
    assert _wraps_like(made, file_key(tmp_path / "root.key"))


def test_a_key_file_is_never_overwritten(tmp_path: Path) -> None:
    create_file_key(tmp_path / "root.key")
    before = (tmp_path / "root.key").read_bytes()
    with pytest.raises(RootKeyError, match="never overwritten"):
        create_file_key(tmp_path / "root.key")
    assert (tmp_path / "root.key").read_bytes() == before


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o660, 0o644])
def test_a_key_file_that_others_may_touch_is_refused(tmp_path: Path, mode: int) -> None:
    create_file_key(tmp_path / "root.key")
    (tmp_path / "root.key").chmod(mode)
    with pytest.raises(LooseRootKeyError):
        file_key(tmp_path / "root.key")


@pytest.mark.parametrize(
    "text", ["", "casehaven-root-key/1:", "casehaven-root-key/1:" + "0" * 63, "0" * 64, "ü", "x" * 9999]
)
def test_a_file_that_holds_no_root_key_is_refused_without_showing_it(tmp_path: Path, text: str) -> None:
    path = tmp_path / "root.key"
    path.touch(mode=0o600)
    path.write_text(text, encoding="utf-8")
    with pytest.raises(RootKeyError) as caught:
        file_key(path)
    assert len(text) < 60 or text not in str(caught.value)


def test_a_missing_key_file_and_a_folder_in_its_place_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RootKeyError, match="no root key"):
        file_key(tmp_path / "none")
    with pytest.raises(RootKeyError):
        file_key(tmp_path)
    with pytest.raises(RootKeyError, match="cannot be written"):
        create_file_key(tmp_path / "none" / "root.key")


def test_the_environment_holds_the_same_text_as_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = create_file_key(tmp_path / "root.key")
    monkeypatch.setenv("CASEHAVEN_VAULT_KEY", (tmp_path / "root.key").read_text("ascii"))
    monkeypatch.setenv("OTHER", key_text(made))
    assert _wraps_like(made, environment_key())
    assert _wraps_like(made, parse_root("env:OTHER"))
    monkeypatch.delenv("CASEHAVEN_VAULT_KEY")
    with pytest.raises(RootKeyError, match="CASEHAVEN_VAULT_KEY is not set"):
        environment_key()


def test_another_key_unwraps_nothing() -> None:
    with pytest.raises(SealBrokenError):
        _wraps_like(HeldKey(key=new_key()), HeldKey(key=new_key()))


# passphrases


def test_a_passphrase_with_the_parameters_of_a_keystore_is_the_same_key() -> None:
    made = passphrase_key(PASSPHRASE, CHEAP).fresh()
    assert _wraps_like(made, passphrase_key(PASSPHRASE).bound(made.description()))


def test_the_same_passphrase_is_another_key_in_another_keystore() -> None:
    one, other = (passphrase_key(PASSPHRASE, CHEAP).fresh() for _ in range(2))
    assert one.description() != other.description()
    with pytest.raises(SealBrokenError):
        _wraps_like(one, other)


def test_a_passphrase_typed_in_another_unicode_form_is_the_same() -> None:
    made = passphrase_key("café au lait vingt-trois", CHEAP).fresh()
    assert _wraps_like(made, passphrase_key("cafe\u0301 au lait vingt-trois").bound(made.description()))


def test_a_short_passphrase_is_refused_for_a_new_keystore() -> None:
    assert passphrase_key("x" * 16, CHEAP).fresh()
    for short in ("x" * 15, "e\u0301" * 15):  # 15 characters as a person counts them
        with pytest.raises(RootKeyError, match="at least 16"):
            passphrase_key(short, CHEAP).fresh()
    with pytest.raises(RootKeyError, match="empty"):
        passphrase_key("")


def test_a_passphrase_wraps_nothing_before_it_has_a_salt() -> None:
    with pytest.raises(RootKeyError, match="salt"):
        passphrase_key(PASSPHRASE, CHEAP).wrap(new_key(), CONTEXT)


def test_a_new_keystore_costs_a_guess_256_mib() -> None:
    assert passphrase_key(PASSPHRASE).cost == PassphraseCost(memory_kib=262_144, iterations=3, lanes=4)


@pytest.mark.parametrize(
    "changed",
    [
        {"memory_kib": 2**40},
        {"memory_kib": "64"},
        {"memory_kib": 63},
        {"iterations": 10**9},
        {"iterations": 0},
        {"lanes": True},
        {"lanes": 64},
        {"salt": "00"},
        {"salt": 7},
        {"salt": None},
        {"kind": "key"},
        {"more": 1},
    ],
    ids=str,
)
def test_parameters_that_somebody_changed_are_refused_before_any_work(changed: dict[str, object]) -> None:
    made = dict(passphrase_key(PASSPHRASE, CHEAP).fresh().description())
    with pytest.raises(RootKeyError):
        passphrase_key(PASSPHRASE).bound({**made, **changed})  # type: ignore[dict-item]  # hostile on purpose


# tokens


def test_a_key_in_a_token_wraps_and_unwraps(token: str) -> None:
    made = create_pkcs11_key(token, "vault", "root", PIN)
    again = pkcs11_key(token, "vault", "root", PIN)
    assert _wraps_like(made, again)
    assert _wraps_like(again, again.bound(made.description()))
    with pytest.raises(SealBrokenError):
        again.unwrap(made.wrap(new_key(), CONTEXT), SealContext(kind="vault-key", organisation="", object_id="audit"))
    with pytest.raises(SealBrokenError):
        again.unwrap(b"", CONTEXT)


def test_the_key_in_a_token_cannot_be_read_out(token: str) -> None:
    import pkcs11

    create_pkcs11_key(token, "vault", "kept", PIN)
    with pkcs11.lib(token).get_token(token_label="vault").open(user_pin=PIN) as session:
        (key,) = session.get_objects({pkcs11.Attribute.LABEL: "kept"})
        assert key[pkcs11.Attribute.SENSITIVE] is True
        assert key[pkcs11.Attribute.EXTRACTABLE] is False
        with pytest.raises(pkcs11.exceptions.PKCS11Error):
            key[pkcs11.Attribute.VALUE]


def test_a_key_with_the_same_label_in_another_token_opens_nothing(token: str) -> None:
    one, other = (create_pkcs11_key(token, name, "same", PIN) for name in ("vault", "spare"))
    with pytest.raises(SealBrokenError):
        _wraps_like(one, other)


def test_a_key_in_a_token_is_never_overwritten(token: str) -> None:
    made = create_pkcs11_key(token, "vault", "once", PIN)
    with pytest.raises(RootKeyProviderError, match="never overwritten"):
        create_pkcs11_key(token, "vault", "once", PIN)
    assert _wraps_like(made, pkcs11_key(token, "vault", "once", PIN))


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"pin": "a wrong PIN!"}, "does not answer"),
        ({"token": "none"}, "does not answer"),
        ({"label": "none"}, "no key"),
        ({"library": "/nowhere/lib.so"}, "/nowhere/lib.so"),
    ],
    ids=str,
)
def test_what_is_wrong_with_a_token_is_said_without_the_pin(token: str, wrong: dict[str, str], says: str) -> None:
    named = {"library": token, "token": "vault", "label": "root", "pin": PIN, **wrong}
    with pytest.raises(RootKeyProviderError, match=says) as caught:
        pkcs11_key(**named)
    assert PIN not in str(caught.value)
    assert "a wrong PIN!" not in str(caught.value)


def test_each_wrapping_has_a_key_of_its_own_from_the_token() -> None:
    asked: list[bytes] = []

    def mac(data: bytes) -> bytes:
        asked.append(data)
        return hmac.digest(b"the key in the token", data, "sha256")

    root = Pkcs11Key(token="vault", label="root", mac=mac)
    key = new_key()
    assert root.unwrap(root.wrap(key, CONTEXT), CONTEXT) == key
    root.wrap(key, CONTEXT)
    assert asked[0] == asked[1]
    assert asked[1] != asked[2]
    assert all(CONTEXT.encode() in data for data in asked)


# naming one on the command line


def test_each_way_to_name_a_root_key_leads_to_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, token: str) -> None:
    monkeypatch.setenv("CASEHAVEN_VAULT_KEY", key_text(HeldKey(key=new_key())))
    monkeypatch.setenv("CASEHAVEN_VAULT_PASSPHRASE", PASSPHRASE)
    monkeypatch.setenv("CASEHAVEN_TOKEN_PIN", PIN)
    named = f"pkcs11:library={token};token=spare;label=named"
    for spec in (f"file:{tmp_path / 'root.key'}", "env", "passphrase", named):
        kind = create_root(spec).kind
        assert parse_root(spec).kind == kind
    assert _wraps_like(parse_root(named), parse_root(named))


@pytest.mark.parametrize(
    "spec", ["", "file:", "file", "none:x", "passphrase:secret words", "pkcs11:", "pkcs11:library=x;token=y"]
)
def test_text_that_names_no_root_key_is_refused_without_repeating_it(spec: str) -> None:
    with pytest.raises(RootKeyError, match="none of them") as caught:
        parse_root(spec)
    assert "secret" not in str(caught.value)


def test_a_passphrase_is_never_asked_for_where_nobody_can_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CASEHAVEN_VAULT_PASSPHRASE", raising=False)
    code = "from casehaven.vault.rootkeys import parse_root; parse_root('passphrase')"
    run = subprocess.run(
        [sys.executable, "-c", code], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    assert run.returncode == 1
    assert "set CASEHAVEN_VAULT_PASSPHRASE" in run.stderr


# who sees a key


@pytest.mark.parametrize(
    "make",
    [
        lambda: (key := new_key(), HeldKey(key=key), (key, key.hex().encode())),
        lambda: (None, passphrase_key(PASSPHRASE, CHEAP).fresh(), (PASSPHRASE.encode(),)),
    ],
    ids=["key", "passphrase"],
)
def test_no_root_key_is_in_its_repr(make: Callable[[], tuple[object, RootKey, tuple[bytes, ...]]]) -> None:
    _, root, secrets = make()
    shown = f"{root!r} {root} {root.description()}".encode()
    for secret in (*secrets, getattr(root, "derived", b"") or b"?no"):
        assert secret not in shown
        assert repr(secret).encode() not in shown
    assert not re.search(rb"[0-9a-f]{64}", repr(root).encode())
