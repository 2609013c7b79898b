"""The manifest: every file is covered, every change is named, and nothing in a bundle can trick the verifier."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casesynth.canonical import JsonValue
from casesynth.manifest import (
    BundleVerification,
    ChangedFileError,
    FileEntry,
    ManifestError,
    UnknownSignerError,
    bundle_verification,
    parse_manifest,
    sign_manifest,
    verify_bundle,
    write_manifest,
)
from casesynth.signing import BadSignatureError, SigningKey, TrustStore

KEY = SigningKey.create()
TRUST = TrustStore().add("Aid Office", KEY.public_key)
FACTS: dict[str, JsonValue] = {
    "epsilon": 2.0,
    "delta": 1e-6,
    "unit": "person token",
    "mechanisms": [{"name": "gaussian", "scale": 13}],
}
FILES = {"synthetic.csv": b"age\n9--17\n", "report.html": b"<!doctype html>", "empty.txt": b""}


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    folder = tmp_path / "bundle"
    folder.mkdir()
    for name, content in FILES.items():
        (folder / name).write_bytes(content)
    write_manifest(folder, FACTS)
    sign_manifest(folder, KEY)
    return folder


def resigned(bundle: Path, change: Callable[[dict[str, Any]], object], key: SigningKey = KEY) -> Path:
    """A bundle whose manifest says what `change` made of it, signed over exactly those bytes."""
    fields = json.loads((bundle / "manifest.json").read_bytes())
    change(fields)
    data = json.dumps(fields).encode()
    (bundle / "manifest.json").write_bytes(data)
    (bundle / "manifest.sig").write_bytes(key.sign_manifest(data).to_bytes())
    return bundle


# --- a good bundle ----------------------------------------------------------------------------------------------------------


def test_a_whole_bundle_by_a_known_signer_is_trusted(bundle: Path) -> None:
    found = verify_bundle(bundle, TRUST)
    assert found.trusted
    assert found.signer is not None
    assert found.manifest is not None
    assert (found.signer.name, found.fingerprint) == ("Aid Office", KEY.public_key.fingerprint)
    assert found.manifest.facts == FACTS
    assert {(entry.name, entry.size, entry.sha256) for entry in found.manifest.files} == {
        (name, len(content), hashlib.sha256(content).hexdigest()) for name, content in FILES.items()
    }


def test_the_manifest_is_the_same_bytes_whatever_the_order_of_files_and_facts(bundle: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    for name in reversed(FILES):
        (other / name).write_bytes(FILES[name])
    write_manifest(other, {name: FACTS[name] for name in reversed(FACTS)})
    assert (other / "manifest.json").read_bytes() == (bundle / "manifest.json").read_bytes()


def test_a_moved_bundle_is_still_whole(bundle: Path, tmp_path: Path) -> None:
    shutil.copytree(bundle, tmp_path / "else" / "where")
    assert verify_bundle(tmp_path / "else" / "where", TRUST).trusted


def test_verification_changes_nothing_and_needs_no_network(bundle: Path) -> None:
    before = {path.name: path.read_bytes() for path in bundle.iterdir()}
    script = (
        "import socket, sys\n"
        "from pathlib import Path\n"
        "def refuse(*args, **kwargs): raise AssertionError('network')\n"
        "socket.socket.connect = refuse; socket.getaddrinfo = refuse\n"
        "from casesynth.manifest import verify_bundle\n"
        "from casesynth.signing import PublicKey, TrustStore\n"
        "store = TrustStore().add('Aid Office', PublicKey.parse(sys.argv[2]))\n"
        "assert verify_bundle(Path(sys.argv[1]), store).trusted\n"
    )
    command = [sys.executable, "-c", script, str(bundle), KEY.public_key.text]
    subprocess.run(command, check=True, timeout=180)
    assert {path.name: path.read_bytes() for path in bundle.iterdir()} == before


# --- changes are named -------------------------------------------------------------------------------------------------------


def test_a_changed_file_is_named(bundle: Path) -> None:
    (bundle / "synthetic.csv").write_bytes(b"age\n0--8\x20\n")
    with pytest.raises(ChangedFileError, match=r"changed: synthetic\.csv$"):
        verify_bundle(bundle, TRUST)


@given(name=st.sampled_from([name for name in FILES if FILES[name]]), data=st.data())
def test_any_flipped_bit_of_any_file_is_found(
    tmp_path_factory: pytest.TempPathFactory, name: str, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("bundle")
    for other, content in FILES.items():
        (folder / other).write_bytes(content)
    write_manifest(folder, FACTS)
    sign_manifest(folder, KEY)
    flipped = bytearray(FILES[name])
    flipped[data.draw(st.integers(0, len(flipped) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    (folder / name).write_bytes(flipped)
    assert bundle_verification(folder, TRUST).changed == (name,)


def test_missing_and_unexpected_files_are_named_together(bundle: Path) -> None:
    (bundle / "report.html").unlink()
    (bundle / "empty.txt").write_bytes(b"x")
    (bundle / "notes.txt").write_bytes(b"")
    (bundle / ".hidden").write_bytes(b"")
    with pytest.raises(ChangedFileError) as refused:
        verify_bundle(bundle, TRUST)
    assert "changed: empty.txt; missing: report.html; unexpected: '.hidden', notes.txt" in str(refused.value)


def test_the_name_of_an_added_file_cannot_write_to_the_terminal(bundle: Path) -> None:
    (bundle / "\x1b[2Jevil\n.csv").write_bytes(b"")
    (bundle / os.fsdecode(b"\xff\xfe")).write_bytes(b"")
    with pytest.raises(ChangedFileError) as refused:
        verify_bundle(bundle, TRUST)
    assert str(refused.value).isprintable()


def test_a_swap_of_two_files_is_found(bundle: Path) -> None:
    (bundle / "synthetic.csv").rename(bundle / "spare")
    (bundle / "report.html").rename(bundle / "synthetic.csv")
    (bundle / "spare").rename(bundle / "report.html")
    assert bundle_verification(bundle, TRUST).changed == ("report.html", "synthetic.csv")


# --- signatures ----------------------------------------------------------------------------------------------------------------


def test_an_unknown_signer_is_named_by_fingerprint(bundle: Path) -> None:
    with pytest.raises(UnknownSignerError) as refused:
        verify_bundle(bundle, TrustStore().add("Other", SigningKey.create().public_key))
    assert refused.value.fingerprint == KEY.public_key.fingerprint
    assert refused.value.fingerprint in str(refused.value)


def test_a_changed_file_weighs_more_than_an_unknown_signer(bundle: Path) -> None:
    (bundle / "synthetic.csv").write_bytes(b"")
    with pytest.raises(ChangedFileError):
        verify_bundle(bundle, TrustStore())


def test_a_manifest_that_was_changed_after_signing_is_refused(bundle: Path) -> None:
    data = (bundle / "manifest.json").read_bytes()
    (bundle / "manifest.json").write_bytes(data.replace(b'"epsilon":2.0', b'"epsilon":0.1'))
    with pytest.raises(BadSignatureError, match=r"does not fit manifest\.json"):
        verify_bundle(bundle, TRUST)


def test_a_signature_of_another_bundle_is_refused(bundle: Path) -> None:
    (bundle / "manifest.sig").write_bytes(KEY.sign_manifest(b"{}").to_bytes())
    with pytest.raises(BadSignatureError):
        verify_bundle(bundle, TRUST)


def test_a_bundle_signed_anew_by_a_stranger_is_not_trusted(bundle: Path) -> None:
    (bundle / "synthetic.csv").write_bytes(b"forged")
    write_manifest(bundle, FACTS)
    sign_manifest(bundle, SigningKey.create())
    with pytest.raises(UnknownSignerError):
        verify_bundle(bundle, TRUST)


def test_a_file_that_names_a_trusted_key_without_its_signature_is_refused(bundle: Path) -> None:
    fields = json.loads((bundle / "manifest.sig").read_bytes())
    forged = json.loads(SigningKey.create().sign_manifest((bundle / "manifest.json").read_bytes()).to_bytes())
    (bundle / "manifest.sig").write_text(json.dumps({**fields, "signature": forged["signature"]}))
    with pytest.raises(BadSignatureError):
        verify_bundle(bundle, TRUST)


def test_an_unsigned_bundle_is_refused_and_a_changed_file_is_named_too(bundle: Path) -> None:
    (bundle / "manifest.sig").unlink()
    (bundle / "report.html").write_bytes(b"x")
    with pytest.raises(BadSignatureError, match=r"no manifest\.sig in the bundle; also changed: report\.html"):
        verify_bundle(bundle, TRUST)


def test_a_bundle_without_manifest_or_folder_is_refused(bundle: Path, tmp_path: Path) -> None:
    (bundle / "manifest.json").unlink()
    with pytest.raises(BadSignatureError, match=r"no readable manifest\.json"):
        verify_bundle(bundle, TRUST)
    for folder in (tmp_path / "nothing", bundle / "synthetic.csv"):
        with pytest.raises(ManifestError, match="cannot be read as a bundle"):
            verify_bundle(folder, TRUST)


def test_writing_a_new_manifest_removes_the_old_signature(bundle: Path) -> None:
    write_manifest(bundle, {"epsilon": 3})
    assert not (bundle / "manifest.sig").exists()


def test_nothing_is_signed_that_is_not_a_manifest(bundle: Path) -> None:
    (bundle / "manifest.json").write_bytes(b"{}")
    with pytest.raises(ManifestError):
        sign_manifest(bundle, KEY)


# --- tricks ------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "../outside",
        "/etc/hostname",
        "sub/file",
        "..",
        ".",
        "",
        ".hidden",
        "a\x00b",
        "a\nb",
        "manifest.json",
        "MANIFEST.SIG",
        "é",
        "a" * 129,
        5,
    ],
)
def test_a_name_that_is_not_plain_is_refused_even_when_signed(bundle: Path, name: Any) -> None:
    (bundle.parent / "outside").write_bytes(b"")
    resigned(
        bundle,
        lambda fields: fields["files"].append({"name": name, "size": 0, "sha256": hashlib.sha256(b"").hexdigest()}),
    )
    with pytest.raises(ManifestError):
        verify_bundle(bundle, TRUST)


@pytest.mark.parametrize(
    "change",
    [
        lambda fields: fields.update(format="casehaven-release/2"),
        lambda fields: fields.update(extra=1),
        lambda fields: fields.update(facts=[]),
        lambda fields: fields.update(files={}),
        lambda fields: fields["files"].reverse(),
        lambda fields: fields["files"].append(fields["files"][-1]),
        lambda fields: fields["files"].insert(0, {**fields["files"][0], "name": "EMPTY.txt"}),
        lambda fields: fields["files"][0].update(size=-1),
        lambda fields: fields["files"][0].update(size=True),
        lambda fields: fields["files"][0].update(size=1.0),
        lambda fields: fields["files"][0].update(size=2**64),
        lambda fields: fields["files"][0].update(sha256="A" * 64),
        lambda fields: fields["files"][0].update(extra=1),
        lambda fields: fields["files"].append([]),
    ],
)
def test_a_signed_manifest_that_is_not_the_format_is_refused(
    bundle: Path, change: Callable[[dict[str, Any]], object]
) -> None:
    with pytest.raises(ManifestError):
        verify_bundle(resigned(bundle, change), TRUST)


def test_a_manifest_with_a_key_twice_is_refused_even_when_signed(bundle: Path) -> None:
    data = (bundle / "manifest.json").read_bytes()[:-1] + b',"facts":{}}'
    (bundle / "manifest.json").write_bytes(data)
    (bundle / "manifest.sig").write_bytes(KEY.sign_manifest(data).to_bytes())
    with pytest.raises(ManifestError, match="'facts' occurs twice"):
        verify_bundle(bundle, TRUST)


@pytest.mark.parametrize("name", ["synthetic.csv", "manifest.json", "manifest.sig"])
def test_a_symbolic_link_is_never_followed(bundle: Path, name: str) -> None:
    (bundle / name).rename(bundle.parent / "same content")
    (bundle / name).symlink_to(bundle.parent / "same content")
    found = bundle_verification(bundle, TRUST)
    assert not found.whole
    if name == "synthetic.csv":
        assert found.changed == (name,)


@pytest.mark.parametrize("kind", ["folder", "pipe", "link to a folder", "endless"])
def test_what_is_not_a_regular_file_is_a_changed_file_and_is_never_waited_for(bundle: Path, kind: str) -> None:
    path = bundle / "synthetic.csv"
    path.unlink()
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/" if kind == "link to a folder" else "/dev/zero")
    assert bundle_verification(bundle, TRUST).changed == ("synthetic.csv",)
    with pytest.raises(ManifestError, match=r"synthetic\.csv is not a regular file"):
        write_manifest(bundle, FACTS)


def test_a_file_of_many_gigabytes_is_refused_by_its_size_and_never_loaded(bundle: Path) -> None:
    with (bundle / "synthetic.csv").open("r+b") as file:
        file.truncate(200 * 2**30)  # sparse
    assert bundle_verification(bundle, TRUST).changed == ("synthetic.csv",)


def test_hashing_a_large_file_keeps_only_a_piece_of_it_in_memory(bundle: Path) -> None:
    with (bundle / "large.parquet").open("wb") as file:
        file.truncate(300 * 2**20)
    tracemalloc.start()
    try:
        write_manifest(bundle, FACTS)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 16 * 2**20


@pytest.mark.parametrize("name", ["manifest.json", "manifest.sig"])
def test_an_endless_manifest_or_signature_is_not_read_to_its_end(bundle: Path, name: str) -> None:
    with (bundle / name).open("r+b") as file:
        file.truncate(200 * 2**30)
    found = bundle_verification(bundle, TRUST)
    assert "larger than" in f"{found.manifest_fault} {found.signature_fault}"


def test_a_manifest_nested_without_end_is_refused(bundle: Path) -> None:
    data = b'{"facts":' + b"[" * 1_000_000
    (bundle / "manifest.json").write_bytes(data)
    (bundle / "manifest.sig").write_bytes(KEY.sign_manifest(data).to_bytes())
    with pytest.raises(ManifestError):
        verify_bundle(bundle, TRUST)


# --- what can be written ------------------------------------------------------------------------------------------------------------


def test_facts_that_are_not_json_leave_the_bundle_as_it_was(bundle: Path) -> None:
    before = {path.name: path.read_bytes() for path in bundle.iterdir()}
    broken: list[Any] = [{"epsilon": float("nan")}, {"a": object()}, {1: 2}]
    for facts in broken:
        with pytest.raises(ManifestError, match="facts"):
            write_manifest(bundle, facts)
    assert {path.name: path.read_bytes() for path in bundle.iterdir()} == before


def test_an_empty_bundle_and_a_strange_name_cannot_be_described(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="no files"):
        write_manifest(tmp_path, FACTS)
    (tmp_path / "with space.csv").write_bytes(b"")
    with pytest.raises(ManifestError, match="not a plain file name"):
        write_manifest(tmp_path, FACTS)


def test_names_that_differ_only_in_case_cannot_be_described(tmp_path: Path) -> None:
    (tmp_path / "A.csv").write_bytes(b"")
    (tmp_path / "a.csv").write_bytes(b"")
    if len(list(tmp_path.iterdir())) == 2:  # a file system that tells them apart
        with pytest.raises(ManifestError, match="twice"):
            write_manifest(tmp_path, FACTS)


def test_an_entry_is_checked_at_birth() -> None:
    with pytest.raises(ManifestError):
        FileEntry(name="../x", size=0, sha256="0" * 64)


def test_a_manifest_says_nothing_about_trust_by_itself(bundle: Path) -> None:
    assert parse_manifest((bundle / "manifest.json").read_bytes()).facts == FACTS
    found: BundleVerification = bundle_verification(bundle, TrustStore())
    assert found.whole
    assert not found.trusted
