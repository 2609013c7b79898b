"""`casehaven keys` and `casehaven verify`: from a key to a trusted bundle, and every way to be refused."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from casehaven.cli import main
from casesynth.manifest import sign_manifest, write_manifest
from casesynth.signing import SigningKey


def run(*arguments: str, **options: str) -> Result:
    return CliRunner().invoke(main, list(arguments), input=options.get("typed"))


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("CASEHAVEN_KEY", "CASEHAVEN_TRUST", "CASEHAVEN_KEY_PASSPHRASE"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def bundle(folder: Path) -> Path:
    made = folder / "the bundle"
    made.mkdir()
    (made / "synthetic.csv").write_text("age\n9--17\n")
    write_manifest(made, {"epsilon": 2})
    assert run("keys", "create").exit_code == 0
    sign_manifest(made, SigningKey.load(folder / "casehaven-signing-key.pem"))
    return made


def fingerprint(folder: Path) -> str:
    return SigningKey.load(folder / "casehaven-signing-key.pem").public_key.fingerprint


def test_the_advice_of_an_unknown_signer_is_the_command_that_trusts_it(bundle: Path, folder: Path) -> None:
    unknown = run("verify", str(bundle))
    assert unknown.exit_code == 2
    assert fingerprint(folder) in unknown.stderr.splitlines()[0]
    advised = unknown.stderr.split("`")[1]
    assert advised == f"casehaven keys trust add NAME '{bundle}' --fingerprint {fingerprint(folder)}"
    assert run("keys", "trust", "add", "Aid Office", str(bundle), "--fingerprint", fingerprint(folder)).exit_code == 0
    trusted = run("verify", str(bundle))
    assert trusted.exit_code == 0
    assert f"valid, by Aid Office ({fingerprint(folder)})" in trusted.stdout
    assert run("keys", "trust", "list").stdout == f"{fingerprint(folder)}  Aid Office\n"


def test_a_changed_file_is_exit_1_and_named_whether_the_signer_is_known_or_not(bundle: Path, folder: Path) -> None:
    (bundle / "synthetic.csv").write_text("age\n0--8\n")
    for _ in range(2):
        ended = run("verify", str(bundle))
        assert ended.exit_code == 1
        assert "changed: synthetic.csv" in ended.stderr
        run("keys", "trust", "add", "Aid Office", str(bundle), "--fingerprint", fingerprint(folder))


def test_a_changed_manifest_or_a_missing_signature_is_exit_1(bundle: Path) -> None:
    manifest = bundle / "manifest.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "facts": {"epsilon": 1}}))
    assert run("verify", str(bundle)).exit_code == 1
    (bundle / "manifest.sig").unlink()
    ended = run("verify", str(bundle))
    assert (ended.exit_code, "no manifest.sig" in ended.stderr) == (1, True)


@pytest.mark.parametrize("name", ["nowhere", "file"])
def test_what_is_no_bundle_is_exit_1(folder: Path, name: str) -> None:
    (folder / "file").write_text("x")
    assert run("verify", name).exit_code == 1


def test_a_named_trust_store_must_be_there_and_whole(bundle: Path, folder: Path) -> None:
    ended = run("verify", str(bundle), "--trust", "none.json")
    assert (ended.exit_code, "no trust store at none.json" in ended.stderr) == (1, True)
    (folder / "broken.json").write_text("{")
    assert run("verify", str(bundle), "--trust", "broken.json").exit_code == 1


def test_the_advice_names_the_trust_store_that_was_used(bundle: Path, folder: Path) -> None:
    other = SigningKey.create().public_key
    add = ["keys", "trust", "add", "--trust", "mine.json", "Other", other.text, "--fingerprint", other.fingerprint]
    assert run(*add).exit_code == 0
    assert "trust add --trust mine.json NAME" in run("verify", str(bundle), "--trust", "mine.json").stderr


def test_a_fingerprint_that_does_not_fit_adds_nothing(bundle: Path, folder: Path) -> None:
    other = SigningKey.create().public_key.fingerprint
    ended = run("keys", "trust", "add", "Aid Office", str(bundle), "--fingerprint", other)
    assert ended.exit_code == 1
    assert "nothing was added" in ended.stderr
    assert not (folder / "casehaven-trust.json").exists()
    assert run("keys", "trust", "list").stdout == "nobody is trusted yet\n"


@pytest.mark.parametrize("source", ["bundle", "signature", "public key"])
def test_a_key_is_taken_from_a_bundle_a_signature_or_its_text(bundle: Path, folder: Path, source: str) -> None:
    text = {
        "bundle": str(bundle),
        "signature": str(bundle / "manifest.sig"),
        "public key": SigningKey.load(folder / "casehaven-signing-key.pem").public_key.text,
    }[source]
    assert run("keys", "trust", "add", "Aid Office", text, "--fingerprint", fingerprint(folder)).exit_code == 0
    assert run("verify", str(bundle)).exit_code == 0


@pytest.mark.parametrize("source", ["nothing", "casehaven-signing-key.pem"])
def test_what_holds_no_public_key_is_refused(bundle: Path, folder: Path, source: str) -> None:
    ended = run("keys", "trust", "add", "Aid Office", source, "--fingerprint", fingerprint(folder))
    assert ended.exit_code == 1
    assert "public key" in ended.stderr


def test_a_new_key_is_shown_by_fingerprint_and_never_overwritten(folder: Path) -> None:
    created = run("keys", "create")
    assert created.exit_code == 0
    assert stat.S_IMODE((folder / "casehaven-signing-key.pem").stat().st_mode) == 0o600
    assert run("keys", "show").stdout == "".join(created.stdout.splitlines(keepends=True)[1:])
    assert fingerprint(folder) in created.stdout
    assert "PRIVATE" not in created.output
    ended = run("keys", "create")
    assert (ended.exit_code, "never overwritten" in ended.stderr) == (1, True)


def test_a_key_that_others_may_read_is_refused(folder: Path) -> None:
    run("keys", "create")
    (folder / "casehaven-signing-key.pem").chmod(0o644)
    ended = run("keys", "show")
    assert ended.exit_code == 1
    assert "chmod 600" in ended.stderr


def test_a_passphrase_is_asked_twice_and_taken_from_the_environment(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("keys", "create", "--passphrase", typed="open sesame\nopen sesame\n").exit_code == 0
    ended = run("keys", "show")
    assert (ended.exit_code, "needs a passphrase" in ended.stderr) == (1, True)
    assert "CASEHAVEN_KEY_PASSPHRASE" in ended.stderr
    monkeypatch.setenv("CASEHAVEN_KEY_PASSPHRASE", "wrong")
    assert run("keys", "show").exit_code == 1
    monkeypatch.setenv("CASEHAVEN_KEY_PASSPHRASE", "open sesame")
    assert run("keys", "show").exit_code == 0
    assert "sesame" not in run("keys", "show").output


def test_an_answer_that_never_comes_is_an_error_and_leaves_no_key(folder: Path) -> None:
    ended = run("keys", "create", "--passphrase", typed="")
    assert ended.exit_code == 1
    assert "the input ended" in ended.stderr
    assert list(folder.iterdir()) == []
