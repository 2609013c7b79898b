"""The keystore: what rotation changes and what it leaves alone, what an edit of the file does, and that a kill loses nothing."""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from casehaven.vault.context import SealContext
from casehaven.vault.envelope import seal_to
from casehaven.vault.errors import (
    DamagedKeystoreError,
    EpochError,
    KeystoreError,
    KeystoreExistsError,
    KeystoreMissingError,
    KeystoreVersionError,
    RootKeyError,
    SealBrokenError,
    SealContextError,
    UnknownOrganisationError,
    VaultError,
)
from casehaven.vault.keystore import Keystore, OrganisationKeys
from casehaven.vault.rootkeys import HeldKey, PassphraseCost, RootKey, passphrase_key
from casehaven.vault.sealed import new_key

ROOT = HeldKey(key=new_key())
OTHER = HeldKey(key=new_key())
DEK = new_key()
PERSON = SealContext(kind="person-key", organisation="north", dataset="cases", object_id="7")
UPLOAD = SealContext(kind="upload", organisation="north", dataset="cases", object_id="u1")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A keystore with two organisations, at the epoch 2026-10."""
    keystore = Keystore.create(tmp_path / "keys", ROOT)
    for organisation in ("north", "south"):
        keystore.add_organisation(organisation, epoch="2026-10")
    return tmp_path / "keys"


def _north(folder: Path, root: RootKey = ROOT) -> OrganisationKeys:
    return Keystore.open(folder, root).organisation("north")


def _document(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "keystore.json").read_text("utf-8"))
    return found


# keys


def test_what_was_wrapped_and_sealed_opens_after_the_keystore_is_opened_again(folder: Path) -> None:
    north = _north(folder)
    wrapped, upload = north.wrap_dek(DEK, PERSON), seal_to(north.public_key, b"file", UPLOAD)
    again = _north(folder)
    assert again.unwrap_dek(wrapped, "2026-10", PERSON) == DEK
    assert again.open_upload(upload, UPLOAD) == b"file"
    assert again.index_key("case_reference") == north.index_key("case_reference")


def test_keys_differ_between_organisations_fields_and_purposes(folder: Path) -> None:
    keystore = Keystore.open(folder, ROOT)
    north, south = keystore.organisation("north"), keystore.organisation("south")
    keys = [keys.index_key(field) for keys in (north, south) for field in ("a", "b", "")]
    keys += [keystore.linkage_key(), keystore.audit_key(), keystore.signing_key().private_bytes_raw()]
    keys += [north.public_key, south.public_key, north.for_escrow().epoch_key, south.for_escrow().epoch_key]
    assert len(set(keys)) == len(keys)


def test_one_organisations_keys_open_nothing_of_anothers(folder: Path) -> None:
    keystore = Keystore.open(folder, ROOT)
    north, south = keystore.organisation("north"), keystore.organisation("south")
    foreign = SealContext(kind="person-key", organisation="south", dataset="cases", object_id="7")
    with pytest.raises(SealBrokenError):
        south.unwrap_dek(north.wrap_dek(DEK, PERSON), "2026-10", foreign)
    upload = SealContext(kind="upload", organisation="south", dataset="cases", object_id="u1")
    with pytest.raises(SealBrokenError):
        south.open_upload(north.seal_upload(b"file", UPLOAD), upload)


@pytest.mark.parametrize("kind", ["person-key", "chunk-key", "detail", "upload", "record"])
@pytest.mark.parametrize("organisation", ["north", "south", ""])
def test_an_organisations_keys_take_its_own_contexts_only(folder: Path, kind: Any, organisation: str) -> None:
    north = _north(folder)
    context = SealContext(kind=kind, organisation=organisation)
    uses: dict[str, Callable[[], object]] = {
        "person-key": lambda: north.wrap_dek(DEK, context),
        "chunk-key": lambda: north.wrap_dek(DEK, context),
        "upload": lambda: north.seal_upload(b"", context),
    }
    for wanted, use in uses.items():
        data_key = kind.endswith("-key") and wanted.endswith("-key")
        if organisation == "north" and (kind == wanted or data_key):
            use()
        else:
            with pytest.raises(SealContextError):
                use()


def test_the_signing_key_signs_what_the_verify_key_checks(folder: Path) -> None:
    keystore = Keystore.open(folder, ROOT)
    Ed25519PublicKey.from_public_bytes(keystore.verify_key).verify(keystore.signing_key().sign(b"x"), b"x")
    assert _document(folder)["verify_key"] == base64.b64encode(keystore.verify_key).decode()


def test_an_organisation_that_is_added_twice_keeps_its_keys(folder: Path) -> None:
    before = (folder / "keystore.json").read_bytes()
    keystore = Keystore.open(folder, ROOT)
    keystore.add_organisation("north", epoch="2026-12")
    assert (folder / "keystore.json").read_bytes() == before
    assert keystore.organisations == ("north", "south")


@pytest.mark.parametrize("name", ["", "North", "a/b", "../x", "-a", "a" * 65, "é", "a b", "a\n"])
def test_a_name_that_no_organisation_may_have_is_refused(folder: Path, name: str) -> None:
    with pytest.raises(UnknownOrganisationError):
        Keystore.open(folder, ROOT).add_organisation(name)


def test_an_unknown_organisation_has_no_keys(folder: Path) -> None:
    with pytest.raises(UnknownOrganisationError):
        Keystore.open(folder, ROOT).organisation("west")
    with pytest.raises(UnknownOrganisationError):
        Keystore.open(folder, ROOT).rotate_organisation("west")


# the file


def test_only_the_owner_may_enter_the_folder_and_read_the_file(folder: Path) -> None:
    _north(folder).begin_epoch("2026-11")
    assert folder.stat().st_mode & 0o777 == 0o700
    for path in folder.iterdir():
        assert path.stat().st_mode & 0o777 == 0o600, path.name
    assert sorted(path.name for path in folder.iterdir()) == ["keystore.json", "keystore.lock"]


def test_no_key_stands_in_the_folder_in_any_writing(folder: Path) -> None:
    keystore = Keystore.open(folder, ROOT)
    secrets = [ROOT.key, keystore.linkage_key(), keystore.audit_key(), keystore.signing_key().private_bytes_raw()]
    for name in keystore.organisations:
        held = keystore.organisation(name).for_escrow()
        secrets += [held.epoch_key, held.index_secret]
    secrets += [key for key in keystore._unwrapped.values()]
    assert len(set(secrets)) == 10
    for path in folder.iterdir():
        data = path.read_bytes()
        for secret in secrets:
            for written in (secret, secret.hex().encode(), base64.b64encode(secret)[:42]):
                assert written not in data, path.name


def test_no_key_is_in_a_repr(folder: Path) -> None:
    keystore = Keystore.open(folder, ROOT)
    held = keystore.organisation("north").for_escrow()
    shown = f"{keystore!r} {keystore.organisation('north')!r} {held!r}"
    for secret in (ROOT.key, held.epoch_key, held.index_secret):
        assert repr(secret) not in shown
        assert secret.hex() not in shown


def test_a_second_keystore_is_not_made_over_the_first(folder: Path) -> None:
    before = (folder / "keystore.json").read_bytes()
    with pytest.raises(KeystoreExistsError):
        Keystore.create(folder, OTHER)
    assert (folder / "keystore.json").read_bytes() == before


def test_a_missing_keystore_is_said_to_be_missing(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(KeystoreMissingError):
        Keystore.open(tmp_path / "none", ROOT)
    keystore = Keystore.open(folder, ROOT)
    shutil.rmtree(folder)
    with pytest.raises(KeystoreMissingError):
        keystore.linkage_key()


def test_another_root_key_opens_nothing(folder: Path) -> None:
    with pytest.raises(RootKeyError, match="does not open this keystore"):
        Keystore.open(folder, OTHER)
    with pytest.raises(RootKeyError, match="of the kind 'key'"):
        Keystore.open(folder, passphrase_key("five words drawn by dice"))


def _edits(value: Any, at: str = "") -> Iterator[tuple[str, Any]]:
    """Every single change to a document: a leaf altered, a field dropped, one added, a list emptied or filled."""
    if isinstance(value, dict):
        yield f"{at}/+", {**value, "more": 1}
        for name, inner in value.items():
            yield f"{at}/{name} dropped", {k: v for k, v in value.items() if k != name}
            for where, edited in _edits(inner, f"{at}/{name}"):
                yield where, {**value, name: edited}
    elif isinstance(value, list):
        yield (f"{at} emptied", []) if value else (f"{at} filled", ["2026-01"])
        for index, inner in enumerate(value):
            for where, edited in _edits(inner, f"{at}/{index}"):
                yield where, [*value[:index], edited, *value[index + 1 :]]
    elif isinstance(value, int):
        yield f"{at} raised", value + 1
        yield f"{at} as text", str(value)
    else:
        letter = "A" if value[-6:-5] != "A" else "B"
        yield f"{at} altered", value[:-6] + letter + value[-5:] if len(value) > 6 else value + "x"
        yield f"{at} null", None


def test_every_edit_of_the_file_is_refused(folder: Path) -> None:
    _north(folder).begin_epoch("2026-11")
    _north(folder).retire_epoch("2026-10")
    document = _document(folder)
    edits = [*_edits(document)]
    assert len(edits) > 80
    for where, changed in edits:
        assert changed != document, where
        (folder / "keystore.json").write_text(json.dumps(changed), encoding="utf-8")
        with pytest.raises(VaultError):
            Keystore.open(folder, ROOT)
            raise AssertionError(where)


def test_exchanging_two_keys_of_the_file_is_refused(folder: Path) -> None:
    document = _document(folder)
    organisations = document["organisations"]
    for name in ("key", "index", "uploads", "epochs"):
        changed = json.loads(json.dumps(document))
        north, south = changed["organisations"]["north"], changed["organisations"]["south"]
        north[name], south[name] = south[name], north[name]
        assert changed["organisations"] != organisations
        (folder / "keystore.json").write_text(json.dumps(changed), encoding="utf-8")
        with pytest.raises(DamagedKeystoreError):
            Keystore.open(folder, ROOT)


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b"{}", b"\xff\xfe", b'{"format": 1}', b"\0" * 4000])
def test_a_file_that_is_no_keystore_is_refused(folder: Path, damage: bytes) -> None:
    (folder / "keystore.json").write_bytes(damage)
    with pytest.raises(DamagedKeystoreError):
        Keystore.open(folder, ROOT)


def test_a_keystore_of_a_later_format_is_refused_by_name(folder: Path) -> None:
    document = {**_document(folder), "format": "casehaven-keystore/2"}
    (folder / "keystore.json").write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(KeystoreVersionError, match="casehaven-keystore/1"):
        Keystore.open(folder, ROOT)


def test_a_link_in_place_of_the_file_is_not_followed(folder: Path, tmp_path: Path) -> None:
    (folder / "keystore.json").rename(tmp_path / "elsewhere.json")
    (folder / "keystore.json").symlink_to(tmp_path / "elsewhere.json")
    with pytest.raises(KeystoreError, match="symbolic link"):
        Keystore.open(folder, ROOT)


def test_the_replaced_file_is_overwritten_but_a_hard_link_to_it_is_left_alone(folder: Path, tmp_path: Path) -> None:
    keystore = Keystore.open(folder, ROOT)
    size = (folder / "keystore.json").stat().st_size
    with (folder / "keystore.json").open("rb") as old:
        keystore.rotate_organisation("north")
        assert old.read() == bytes(size)
    os.link(folder / "keystore.json", tmp_path / "copy.json")
    before = (tmp_path / "copy.json").read_bytes()
    keystore.rotate_organisation("north")
    assert (tmp_path / "copy.json").read_bytes() == before


# rotation


def test_after_the_root_key_is_rotated_the_new_one_opens_all_and_the_old_one_nothing(folder: Path) -> None:
    keystore = Keystore.open(folder, ROOT)
    north = keystore.organisation("north")
    wrapped, index, linkage = north.wrap_dek(DEK, PERSON), north.index_key("f"), keystore.linkage_key()
    before = _document(folder)
    keystore.rotate_root(OTHER)
    with pytest.raises(RootKeyError):
        Keystore.open(folder, ROOT)
    for opened in (keystore, Keystore.open(folder, OTHER)):
        again = opened.organisation("north")
        assert again.unwrap_dek(wrapped, "2026-10", PERSON) == DEK
        assert (again.index_key("f"), opened.linkage_key()) == (index, linkage)
    after = _document(folder)
    assert after["root_version"] == before["root_version"] + 1
    for name, entry in after["organisations"].items():
        old = before["organisations"][name]
        assert entry["key"] != old["key"]
        assert {**entry, "key": ""} == {**old, "key": ""}  # nothing below is touched


def test_root_keys_of_all_kinds_follow_each_other(folder: Path) -> None:
    cheap = PassphraseCost(memory_kib=64, iterations=1, lanes=1)
    words = ["five words drawn by dice", "five others drawn by dice"]
    chain: list[RootKey] = [ROOT, passphrase_key(words[0], cheap), passphrase_key(words[1], cheap), OTHER]
    wrapped = _north(folder).wrap_dek(DEK, PERSON)
    for old, new in itertools.pairwise(chain):
        Keystore.open(folder, old).rotate_root(new)
        assert _north(folder, new).unwrap_dek(wrapped, "2026-10", PERSON) == DEK
        with pytest.raises(RootKeyError):
            Keystore.open(folder, old)


def test_a_root_key_is_not_rotated_to_itself(folder: Path) -> None:
    keystore = Keystore.open(folder, ROOT)
    with pytest.raises(RootKeyError, match="in use"):
        keystore.rotate_root(HeldKey(key=ROOT.key))
    passphrase = passphrase_key("five words drawn by dice", PassphraseCost(memory_kib=64, iterations=1, lanes=1))
    keystore.rotate_root(passphrase)
    with pytest.raises(RootKeyError, match="in use"):
        keystore.rotate_root(passphrase)
    assert keystore.root_version == 2


def test_an_organisations_rotation_changes_its_wrapped_keys_and_no_key_itself(folder: Path) -> None:
    keystore = Keystore.open(folder, ROOT)
    north = keystore.organisation("north")
    north.renew_upload_key()
    held, public = north.for_escrow(), north.public_key
    wrapped, upload = north.wrap_dek(DEK, PERSON), north.seal_upload(b"file", UPLOAD)
    before = _document(folder)["organisations"]
    keystore.rotate_organisation("north")
    after = _document(folder)["organisations"]
    assert after["south"] == before["south"]
    assert after["north"]["version"] == 2
    for name in ("key", "index"):
        assert after["north"][name] != before["north"][name]
    assert after["north"]["epochs"][0]["key"] != before["north"]["epochs"][0]["key"]
    for again in (north, _north(folder)):
        assert (again.for_escrow(), again.public_key, again.version) == (held, public, 2)
        assert again.unwrap_dek(wrapped, "2026-10", PERSON) == DEK
        assert again.open_upload(upload, UPLOAD) == b"file"


def test_an_epoch_is_begun_used_and_retired(folder: Path) -> None:
    north = _north(folder)
    old = north.wrap_dek(DEK, PERSON)
    assert north.begin_epoch("2026-11") == "2026-11"
    assert north.epochs == ("2026-10", "2026-11")
    assert north.wrap_dek_with_epoch(DEK, PERSON)[0] == "2026-11"
    new = north.wrap_dek(north.unwrap_dek(old, "2026-10", PERSON), PERSON)
    with pytest.raises(SealBrokenError):
        north.unwrap_dek(new, "2026-10", PERSON)
    north.retire_epoch("2026-10")
    for keys in (north, _north(folder)):
        assert keys.epochs == ("2026-11",)
        assert keys.unwrap_dek(new, "2026-11", PERSON) == DEK
        with pytest.raises(EpochError):
            keys.unwrap_dek(old, "2026-10", PERSON)


def test_a_retired_epochs_key_is_nowhere_in_the_folder(folder: Path) -> None:
    north = _north(folder)
    (entry,) = _document(folder)["organisations"]["north"]["epochs"]
    north.begin_epoch("2026-11")
    assert entry["key"].encode() in (folder / "keystore.json").read_bytes()
    north.retire_epoch("2026-10")
    assert all(entry["key"].encode() not in path.read_bytes() for path in folder.iterdir())


def test_beginning_or_retiring_an_epoch_again_changes_nothing(folder: Path) -> None:
    north = _north(folder)
    north.begin_epoch("2026-11")
    before = (folder / "keystore.json").read_bytes()
    north.begin_epoch("2026-11")
    assert (folder / "keystore.json").read_bytes() == before
    north.retire_epoch("2026-10")
    before = (folder / "keystore.json").read_bytes()
    north.retire_epoch("2026-10")
    assert (folder / "keystore.json").read_bytes() == before


def test_an_epoch_that_is_in_use_unknown_or_gone_is_refused(folder: Path) -> None:
    north = _north(folder)
    with pytest.raises(EpochError, match="in use"):
        north.retire_epoch("2026-10")
    with pytest.raises(EpochError, match="no such epoch"):
        north.retire_epoch("2026-09")
    for name in ("2026-13", "2026-00", "2026", "2026-11.0", "2026-11.x", "26-11", "", "2026-11\n"):
        with pytest.raises(EpochError, match="YYYY-MM"):
            north.begin_epoch(name)
    north.begin_epoch("2026-11")
    with pytest.raises(EpochError, match="not retired yet"):
        north.begin_epoch("2026-12")
    north.retire_epoch("2026-10")
    with pytest.raises(EpochError, match="in use before"):
        north.begin_epoch("2026-10")


def test_epochs_of_one_month_get_numbers(tmp_path: Path) -> None:
    north = Keystore.create(tmp_path / "keys", ROOT).add_organisation("north")
    first = north.epoch
    assert north.begin_epoch() == f"{first}.2" or not north.epoch.startswith(first)  # a new month began meanwhile
    north.retire_epoch(first)
    assert north.begin_epoch() not in (first, f"{first}.2")


def test_uploads_to_an_older_key_open_until_it_is_forgotten(folder: Path) -> None:
    north = _north(folder)
    old = seal_to(north.public_key, b"file", UPLOAD)
    north.renew_upload_key()
    new = seal_to(north.public_key, b"later", UPLOAD)
    assert (north.open_upload(old, UPLOAD), north.open_upload(new, UPLOAD)) == (b"file", b"later")
    north.forget_upload_keys()
    assert _north(folder).open_upload(new, UPLOAD) == b"later"
    with pytest.raises(SealBrokenError):
        north.open_upload(old, UPLOAD)
    with pytest.raises(SealBrokenError):
        north.open_upload(b"no envelope", UPLOAD)


# several processes


def test_an_open_keystore_sees_what_another_process_changed(folder: Path) -> None:
    here, there = _north(folder), _north(folder)
    wrapped = here.wrap_dek(DEK, PERSON)
    there.begin_epoch("2026-11")
    assert here.epoch == "2026-11"
    there.retire_epoch("2026-10")
    with pytest.raises(EpochError):
        here.unwrap_dek(wrapped, "2026-10", PERSON)  # though its key was in memory
    assert there.unwrap_dek(here.wrap_dek(DEK, PERSON), "2026-11", PERSON) == DEK


def test_a_process_with_the_old_root_key_is_told_to_open_the_keystore_again(folder: Path) -> None:
    here = Keystore.open(folder, ROOT)
    Keystore.open(folder, ROOT).rotate_root(OTHER)
    with pytest.raises(RootKeyError, match="rotated by another process"):
        here.linkage_key()


def test_another_keystore_in_the_same_place_is_noticed(folder: Path, tmp_path: Path) -> None:
    here = Keystore.open(folder, ROOT)
    Keystore.create(tmp_path / "new", ROOT)
    os.replace(tmp_path / "new" / "keystore.json", folder / "keystore.json")
    with pytest.raises(DamagedKeystoreError, match="another keystore"):
        here.linkage_key()


WRITER = """
import sys
from pathlib import Path
from casehaven.vault.keystore import Keystore
from casehaven.vault.rootkeys import HeldKey

keystore = Keystore.open(Path(sys.argv[1]), HeldKey(key=bytes.fromhex(sys.argv[2])))
for index in range(8):
    keystore.add_organisation(f"{sys.argv[3]}-{index}")
    keystore.rotate_organisation("north")
"""


def test_no_change_is_lost_when_processes_write_at_once(folder: Path) -> None:
    before = Keystore.open(folder, ROOT).sequence
    command = [sys.executable, "-c", WRITER, str(folder), ROOT.key.hex()]
    writers = [subprocess.Popen([*command, f"writer{number}"]) for number in range(4)]
    assert [writer.wait() for writer in writers] == [0, 0, 0, 0]
    keystore = Keystore.open(folder, ROOT)
    assert len(keystore.organisations) == 2 + 4 * 8
    assert keystore.organisation("north").version == 1 + 4 * 8
    assert keystore.sequence == before + 2 * 4 * 8


# kills and full disks

KILLED = """
import hashlib, os, shutil, signal, sys
from pathlib import Path
from casehaven.vault import keystore_file
from casehaven.vault.keystore import Keystore
from casehaven.vault.rootkeys import HeldKey
from casesynth import _files

source, work, change = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
roots = [HeldKey(key=bytes.fromhex(text)) for text in sys.argv[4:6]]
WRITES = {
    function.__code__
    for function in (
        keystore_file.KeystoreFile.replace, keystore_file.KeystoreFile.create, keystore_file._overwrite,
        _files.write_whole, _files.sync_folder,
    )
}

def act(folder):
    if change == "create":
        return Keystore.create(folder, roots[0])
    keystore = Keystore.open(folder, roots[0])
    north = keystore.organisation("north")
    if change == "root":
        keystore.rotate_root(roots[1])
    elif change == "organisation":
        keystore.rotate_organisation("north")
    elif change == "begin":
        north.begin_epoch("2026-11")
    elif change == "retire":
        north.retire_epoch("2026-10")
    elif change == "add":
        keystore.add_organisation("west")

def killed_at(step, folder):
    seen = 0
    def line(frame, event, arg):
        nonlocal seen
        if event == "line":
            seen += 1
            if seen == step:
                os.kill(os.getpid(), signal.SIGKILL)
        return line
    def call(frame, event, arg):
        return line if frame.f_code in WRITES else None
    sys.settrace(call)
    act(folder)
    sys.settrace(None)

for step in range(1, 1000):
    folder = work / f"{step:03d}"
    if source.exists():
        shutil.copytree(source, folder)
    child = os.fork()
    if child == 0:
        killed_at(step, folder)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if not os.WIFSIGNALED(status):
        assert os.WEXITSTATUS(status) == 0
        print(step - 1)
        sys.exit(0)
    assert os.WTERMSIG(status) == signal.SIGKILL
"""
"""Kills a change before each line of the code that writes, in turn; prints how many lines that were."""


def _killed(folder: Path, work: Path, change: str) -> int:
    work.mkdir()
    command = [sys.executable, "-c", KILLED, str(folder), str(work), change, ROOT.key.hex(), OTHER.key.hex()]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return int(run.stdout)


def _opened(folder: Path) -> tuple[Keystore, RootKey]:
    """Open with the one of both root keys that opens; exactly one does."""
    opened: list[tuple[Keystore, RootKey]] = []
    for root in (ROOT, OTHER):
        try:
            opened.append((Keystore.open(folder, root), root))
        except RootKeyError:
            continue
    assert len(opened) == 1
    return opened[0]


@pytest.mark.parametrize("change", ["root", "organisation", "begin", "retire", "add"])
def test_a_kill_at_any_line_of_a_change_leaves_the_old_or_the_new_keystore(
    folder: Path, tmp_path: Path, change: str
) -> None:
    north = _north(folder)
    if change == "retire":
        north.begin_epoch("2026-11")
    epoch = north.epoch
    wrapped, index = north.wrap_dek(DEK, PERSON), north.index_key("f")
    first = Keystore.open(folder, ROOT).sequence
    kills = _killed(folder, tmp_path / "work", change)
    assert kills > 15
    sequences = []
    for step in range(1, kills + 1):
        keystore, root = _opened(tmp_path / "work" / f"{step:03d}")
        keys = keystore.organisation("north")
        assert keys.unwrap_dek(wrapped, epoch, PERSON) == DEK
        assert keys.index_key("f") == index
        assert (keystore.sequence == first) == (root == ROOT) or change != "root"
        sequences.append(keystore.sequence - first)
        keystore.rotate_organisation("north")  # the next change finds nothing in its way
        assert not [*keystore.path.glob("*.part"), *keystore.path.glob(".*")]
    assert set(sequences) == {0, 1}
    assert sequences == sorted(sequences)


def test_a_kill_while_a_keystore_is_made_leaves_a_whole_one_or_none(tmp_path: Path) -> None:
    kills = _killed(tmp_path / "absent", tmp_path / "work", "create")
    assert kills > 5
    found = []
    for step in range(1, kills + 1):
        try:
            found.append(Keystore.open(tmp_path / "work" / f"{step:03d}", ROOT).organisations == ())
        except KeystoreMissingError:
            found.append(False)
            Keystore.create(tmp_path / "work" / f"{step:03d}", ROOT)
    assert found == sorted(found)
    assert {*found} == {False, True}


ROTATING = """
import hashlib, json, os, sys
from pathlib import Path
from casehaven.vault.keystore import Keystore
from casehaven.vault.rootkeys import HeldKey

folder = Path(sys.argv[1])

def root(version):
    return HeldKey(key=hashlib.sha256(f"root {version}".encode()).digest())

def changed():  # in one call, so that a kill never leaves half a line
    os.write(sys.stdout.fileno(), b"changed\\n")

def rotate():
    keystore = Keystore.open(folder, root(json.loads((folder / "keystore.json").read_text())["root_version"]))
    north = keystore.organisation("north")
    print(os.getpid(), flush=True)
    while True:
        keystore.rotate_organisation("north")
        changed()
        keystore.rotate_root(root(keystore.root_version + 1))
        changed()
        if len(north.epochs) == 1:
            north.begin_epoch()
        north.retire_epoch(north.epochs[0])
        changed()

while sys.stdin.readline():
    child = os.fork()  # a process of its own, without the time to start one
    if child == 0:
        rotate()
    _, status = os.waitpid(child, 0)
    print("killed" if os.WIFSIGNALED(status) else "failed", flush=True)
"""


def test_rotation_killed_fifty_times_at_random_loses_no_key(tmp_path: Path) -> None:
    def root(version: int) -> HeldKey:
        return HeldKey(key=hashlib.sha256(f"root {version}".encode()).digest())

    folder = tmp_path / "keys"
    keystore = Keystore.create(folder, root(1))
    index = keystore.add_organisation("north").index_key("f")
    linkage, last, changes = keystore.linkage_key(), 0, 0
    wait = random.Random(20261122)  # when to kill: any moment will do
    command = [sys.executable, "-c", ROTATING, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as rotating:
        assert rotating.stdin is not None
        assert rotating.stdout is not None
        for _ in range(50):
            print("go", file=rotating.stdin, flush=True)
            child = int(rotating.stdout.readline())
            for _ in range(wait.randrange(4)):
                assert rotating.stdout.readline() == "changed\n"
                changes += 1
            time.sleep(wait.uniform(0, 0.01))
            os.kill(child, signal.SIGKILL)
            said = ""
            while said != "killed\n":
                said = rotating.stdout.readline()
                assert said in ("changed\n", "killed\n")
                changes += said == "changed\n"
            version = _document(folder)["root_version"]
            keystore = Keystore.open(folder, root(version))
            north = keystore.organisation("north")
            assert (keystore.linkage_key(), north.index_key("f")) == (linkage, index)
            assert north.unwrap_dek(north.wrap_dek(DEK, PERSON), north.epoch, PERSON) == DEK
            assert keystore.sequence >= last
            last = keystore.sequence
            with pytest.raises(RootKeyError):
                Keystore.open(folder, root(version - 1))
    assert last > changes > 50  # none of those that were reported is lost


FULL = """
import resource, signal, sys
from pathlib import Path
from casehaven.vault.errors import KeystoreError
from casehaven.vault.keystore import Keystore
from casehaven.vault.rootkeys import HeldKey

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
keystore = Keystore.open(Path(sys.argv[1]), HeldKey(key=bytes.fromhex(sys.argv[2])))
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    keystore.rotate_organisation("north")
except KeystoreError as error:
    print(error)
"""


def test_a_disk_without_room_leaves_the_old_keystore_and_says_so(folder: Path) -> None:
    before = (folder / "keystore.json").read_bytes()
    run = subprocess.run(
        [sys.executable, "-c", FULL, str(folder), ROOT.key.hex()], capture_output=True, text=True, check=True
    )
    assert "cannot be written" in run.stdout
    assert (folder / "keystore.json").read_bytes() == before
    assert not [*folder.glob(".*.part")]
    Keystore.open(folder, ROOT).rotate_organisation("north")


# backups, and what the process does about its memory


def test_a_backup_restores_with_the_root_key_and_not_without(folder: Path, tmp_path: Path) -> None:
    keystore = Keystore.open(folder, ROOT)
    wrapped = keystore.organisation("north").wrap_dek(DEK, PERSON)
    keystore.backup(tmp_path / "copy.json")
    assert (tmp_path / "copy.json").stat().st_mode & 0o777 == 0o600
    with pytest.raises(RootKeyError):
        Keystore.restore(tmp_path / "copy.json", tmp_path / "restored", OTHER)
    assert not (tmp_path / "restored").exists()
    restored = Keystore.restore(tmp_path / "copy.json", tmp_path / "restored", ROOT)
    assert restored.organisation("north").unwrap_dek(wrapped, "2026-10", PERSON) == DEK
    with pytest.raises(KeystoreExistsError):
        Keystore.restore(tmp_path / "copy.json", folder, ROOT)


def test_the_next_backup_takes_the_place_of_the_last_and_holds_no_retired_key(folder: Path, tmp_path: Path) -> None:
    keystore = Keystore.open(folder, ROOT)
    north = keystore.organisation("north")
    keystore.backup(tmp_path / "copy.json")
    north.begin_epoch("2026-11")
    north.retire_epoch("2026-10")
    keystore.backup(tmp_path / "copy.json")
    restored = Keystore.restore(tmp_path / "copy.json", tmp_path / "restored", ROOT)
    assert restored.organisation("north").epochs == ("2026-11",)


def test_a_copy_from_before_a_rotation_still_opens_with_the_old_root_key(folder: Path, tmp_path: Path) -> None:
    """A limit that the specification names: rotation cannot reach copies. It is here so that nobody believes otherwise."""
    shutil.copytree(folder, tmp_path / "copy")
    Keystore.open(folder, ROOT).rotate_root(OTHER)
    assert Keystore.open(tmp_path / "copy", ROOT).organisations == ("north", "south")


OPENING = """
import ctypes, resource, sys
from pathlib import Path
from casehaven.vault.keystore import Keystore
from casehaven.vault.rootkeys import HeldKey

Keystore.create(Path(sys.argv[1]), HeldKey(key=bytes(32)))
print(resource.getrlimit(resource.RLIMIT_CORE)[0], ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the mark is Linux's")
def test_a_process_that_opened_a_keystore_writes_no_core_dump(tmp_path: Path) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    run = subprocess.run(
        [sys.executable, "-c", OPENING, str(tmp_path / "keys")],
        capture_output=True,
        text=True,
        check=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, (hard, hard)),
    )
    assert run.stdout.split() == ["0", "0"]
