"""The private report opens after the decision, or marks the release for good; and it is never in the clear on disk (privacy rule 33)."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import logging
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner, Result
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from casehaven.cli import main
from casehaven.evaluation.sealed_page import FORMAT, ROUNDS, STEP, new_passphrase, sealed_report
from casehaven.evaluation.words import MARK, WARNING
from casehaven.ledger import DecisionKind, Ledger
from casehaven.releases.decision import decision_path
from casehaven.releases.private_decision import finish_marking, is_marked, mark_private_decision
from casesynth.canonical import canonical_json
from casesynth.manifest import bundle_verification
from casesynth.report.private_decision import SENTENCE
from casesynth.showcase import translations
from casesynth.showcase.plain import private_notice
from casesynth.signing import BadSignatureError, PublicKey, SigningKey, TrustStore, verify_decision

if TYPE_CHECKING:
    from tests.conftest import MakePeople, SafeHouse, Shelter

PEOPLE = 613
KEY = "evaluate-request-1"
NOTICE = private_notice(translations()[0])


@pytest.fixture(scope="module")
def _released(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return []


@pytest.fixture
def released(
    shelter: Shelter, people: MakePeople, _released: list[Path], tmp_path_factory: pytest.TempPathFactory
) -> Shelter:
    """A shelter with a drawn release in `bundle`; made once and copied, because drawing takes longer."""
    if not _released:
        made = shelter.release(
            shelter.write("north.csv", people(PEOPLE)), extra=("--epsilon", "2", "--idempotency-key", KEY)
        )
        assert made.exit_code == 0, made.output
        kept = tmp_path_factory.mktemp("released")
        shutil.copytree(shelter.folder, kept / "shelter")
        _released.append(kept / "shelter")
    else:
        shutil.rmtree(shelter.folder)
        shutil.copytree(_released[0], shelter.folder)
    return shelter


def run(shelter: Shelter, *arguments: str | Path, given: str | None = None) -> Result:
    return CliRunner().invoke(main, [*(str(a) for a in arguments), *(str(p) for p in shelter.places)], input=given)


def evaluate(shelter: Shelter, *options: str | Path, given: str | None = None) -> Result:
    files = (shelter.folder / "bundle", shelter.folder / "north.csv", "--schema", shelter.folder / "shelter.json")
    screen = () if "-o" in options else ("--to-screen",)  # what runs in this process has no terminal
    return run(shelter, "evaluate", *files, "--no-attacks", *screen, *options, given=given)


def decide(shelter: Shelter, decision: str) -> Result:
    return run(shelter, "decide", decision, shelter.folder / "bundle")


def key_of(shelter: Shelter) -> SigningKey:
    return SigningKey.load(shelter.folder / "key.pem")


def whole(shelter: Shelter) -> bool:
    trust = TrustStore().add("shelter", key_of(shelter).public_key)
    return bundle_verification(shelter.folder / "bundle", trust).trusted


def marks(shelter: Shelter) -> tuple[bool, bool]:
    """What bundle and ledger say: whether the decision used private data."""
    (release,) = Ledger.open(shelter.folder / "ledger.sqlite").statement().releases
    return is_marked(shelter.folder / "bundle"), release.used_private_data


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_before_the_decision_it_is_refused_and_neither_file_nor_bundle_nor_ledger_is_touched(released: Shelter) -> None:
    before = content(released.folder / "bundle")
    (released.folder / "north.csv").unlink()  # it is not even looked for
    result = evaluate(released)
    assert result.exit_code == 1
    assert "nothing was decided about this release yet" in result.output
    assert "casehaven decide" in result.output
    assert content(released.folder / "bundle") == before
    assert Ledger.open(released.folder / "ledger.sqlite").statement().releases[0].steps == ()


def test_after_the_decision_it_is_shown_and_the_release_stays_covered(
    released: Shelter, caplog: pytest.LogCaptureFixture
) -> None:
    before = content(released.folder / "bundle")
    assert decide(released, "publish").exit_code == 0
    with caplog.at_level(logging.DEBUG):
        result = evaluate(released)
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert lines[0] == WARNING
    assert MARK in lines[-1]
    assert f"{PEOPLE} real people (north.csv)" in result.output
    for said in (
        "estimates by size, combinations of two values",
        "people whose numbers are least right",
        "synthetic records",
    ):
        assert said in result.output
    assert content(released.folder / "bundle") == before
    assert marks(released) == (False, False)
    assert str(PEOPLE) not in caplog.text


def test_the_decision_is_signed_beside_the_bundle(released: Shelter) -> None:
    assert decide(released, "publish").exit_code == 0
    stated = json.loads(decision_path(released.folder / "bundle").read_bytes())
    signature = base64.b64decode(stated.pop("signature"))
    key = PublicKey.parse(stated["public_key"])
    verify_decision(key, canonical_json(stated), signature)
    with pytest.raises(BadSignatureError):
        verify_decision(key, canonical_json({**stated, "decision": "withheld"}), signature)
    manifest = (released.folder / "bundle" / "manifest.json").read_bytes()
    assert stated["manifest_sha256"] == hashlib.sha256(manifest).hexdigest()
    assert (stated["decision"], stated["decision_used_private_data"]) == ("published", False)
    spec = (Path(__file__).parents[2] / "docs" / "spec" / "evaluation.md").read_text(encoding="utf-8")
    assert all(f"`{name}`" in spec for name in [*stated, "signature"])
    assert whole(released)


def test_opened_before_the_decision_it_marks_bundle_and_ledger_for_good(released: Shelter) -> None:
    result = evaluate(released, "--before-decision")
    assert result.exit_code == 0, result.output
    assert "not covered" in result.output
    for step in ("publish", "withhold", "publish"):
        assert marks(released) == (True, True)
        assert whole(released)
        decide(released, step)
    evaluate(released)
    assert marks(released) == (True, True)
    stated = json.loads(decision_path(released.folder / "bundle").read_bytes())
    assert stated["decision_used_private_data"] is True
    again = released.release(released.folder / "north.csv", extra=("--epsilon", "2", "--idempotency-key", KEY))
    assert again.exit_code == 0, again.output
    assert marks(released) == (True, True)
    shown = released.run("ledger", "show", "--ledger", released.folder / "ledger.sqlite").output
    assert "decision used private data: not covered" in shown


def test_a_marked_bundle_says_so_in_every_file_that_people_read_and_nothing_else_changes(released: Shelter) -> None:
    before = content(released.folder / "bundle")
    mark_private_decision(released.folder / "bundle", key_of(released))
    after = content(released.folder / "bundle")
    changed = {name for name in before if before[name] != after[name]}
    assert before.keys() == after.keys()
    said = {"report.html", "datasheet.md", "datapackage.json", "showcase.html"}
    assert changed == {"manifest.json", "manifest.sig", *said}
    for name in said:
        assert SENTENCE in after[name].decode()
        assert name == "showcase.html" or SENTENCE not in before[name].decode()
    assert NOTICE not in before["showcase.html"].decode()
    assert NOTICE in after["showcase.html"].decode()
    for resource in json.loads(after["datapackage.json"])["resources"]:
        assert resource["hash"] == f"sha256:{hashlib.sha256(after[resource['path']]).hexdigest()}"
    facts = [json.loads(files["manifest.json"])["facts"] for files in (before, after)]
    facts[0]["guarantee"]["decision_used_private_data"] = True
    assert facts[0] == facts[1]
    assert whole(released)
    mark_private_decision(released.folder / "bundle", key_of(released))  # again: nothing changes
    assert content(released.folder / "bundle") == after


@pytest.mark.parametrize("moment", ["copied", "moved away", "replaced"])
def test_marking_that_was_interrupted_is_finished(released: Shelter, moment: str) -> None:
    bundle = released.folder / "bundle"
    marked, replaced = (bundle.with_name(f".bundle.{name}") for name in ("marked", "replaced"))
    shutil.copytree(bundle, released.folder / "untouched")
    mark_private_decision(bundle, key_of(released))
    if moment == "copied":  # a half copy lies there, the bundle is as it was
        shutil.move(bundle, marked)
        (marked / "manifest.sig").unlink()
        shutil.move(released.folder / "untouched", bundle)
    else:
        shutil.move(released.folder / "untouched", replaced)
        if moment == "moved away":
            shutil.move(bundle, marked)
    finish_marking(bundle)
    assert whole(released)
    assert not marked.exists()
    assert not replaced.exists()
    assert is_marked(bundle) == (moment != "copied")
    mark_private_decision(bundle, key_of(released))
    assert is_marked(bundle)
    assert whole(released)


def test_a_ledger_that_was_marked_and_a_bundle_that_was_not_yet_agree_after_the_next_command(released: Shelter) -> None:
    """Killed between the two: the ledger is first, so nothing is forgotten."""
    ledger = Ledger.open(released.folder / "ledger.sqlite")
    charge = ledger.statement().releases[0].charge_id
    ledger.decide(charge, DecisionKind.REPORT_OPENED, before_decision=True)
    assert marks(released) == (False, True)
    assert decide(released, "publish").exit_code == 0
    assert marks(released) == (True, True)
    assert whole(released)


def test_withholding_after_the_report_marks_the_release(released: Shelter) -> None:
    assert decide(released, "publish").exit_code == 0
    assert evaluate(released).exit_code == 0
    result = decide(released, "withhold")
    assert result.exit_code == 0
    assert "not covered" in result.output
    assert marks(released) == (True, True)
    refused = decide(released, "publish")
    assert refused.exit_code == 1
    assert "withheld, and that is final" in refused.output


def second_release(released: Shelter) -> str:
    """Draw another release of the same records, in `second`, and return its charge."""
    made = released.release(released.folder / "north.csv", out="second", extra=("--epsilon", "1"))
    assert made.exit_code == 0, made.output
    facts = json.loads((released.folder / "second" / "manifest.json").read_bytes())["facts"]
    assert isinstance(facts["charge"], str)
    return facts["charge"]


def test_an_undecided_release_of_the_same_people_is_decided_about_before_the_report_opens_or_is_marked(
    released: Shelter,
) -> None:
    charge, second = second_release(released), released.folder / "second"
    assert decide(released, "publish").exit_code == 0
    refused = evaluate(released)
    assert (refused.exit_code, charge in refused.output) == (1, True)
    opened_early = evaluate(released, "--before-decision")
    assert opened_early.exit_code == 0, opened_early.output
    assert f"charge {charge}: decision used private data: not covered" in opened_early.output
    decided = run(released, "decide", "publish", second)
    assert "not covered" in decided.output
    assert is_marked(second)
    stated = json.loads(decision_path(second).read_bytes())
    assert stated["decision_used_private_data"] is True
    releases = Ledger.open(released.folder / "ledger.sqlite").statement().releases
    assert [each.charge_id for each in releases if each.used_private_data] == [charge]


def test_a_changed_bundle_or_one_of_another_ledger_or_key_is_refused(
    released: Shelter, make_shelter: Callable[[str], Shelter]
) -> None:
    other = make_shelter("other")
    bundle = str(released.folder / "bundle")
    for places in (
        ("--ledger", other.folder / "ledger.sqlite", "--key", released.folder / "key.pem"),
        ("--ledger", released.folder / "ledger.sqlite", "--key", other.folder / "key.pem"),
    ):
        assert released.run("decide", "publish", bundle, *places).exit_code in (1, 2)
    (released.folder / "bundle" / "aggregates.csv").write_text("length\r\n", encoding="utf-8")
    assert decide(released, "publish").exit_code == 1
    assert Ledger.open(released.folder / "ledger.sqlite").statement().releases[0].steps == ()


# --- sealed ---


def opened(file: Path, passphrase: str) -> str:
    """Open a sealed report as its own page does, from the specification alone."""
    text = file.read_text(encoding="utf-8")
    salt, nonce, sealed = (
        base64.b64decode(re.findall(f'id="{name}"[^>]*>([^<]*)<', text)[0]) for name in ("salt", "nonce", "sealed")
    )
    key = hashlib.pbkdf2_hmac("sha256", passphrase.encode(), salt, 600_000, 32)
    return AESGCM(key).decrypt(nonce, sealed, b"casehaven-sealed-report/1").decode()


def test_a_file_is_sealed_and_nothing_of_the_report_is_on_disk_in_the_clear(released: Shelter) -> None:
    assert decide(released, "publish").exit_code == 0
    file = released.folder / "private.html"
    result = evaluate(released, "-o", file)
    assert result.exit_code == 0, result.output
    (passphrase,) = re.findall(r"^passphrase (\S+)", result.output, re.MULTILINE)
    assert str(PEOPLE) not in result.output
    assert file.stat().st_mode & 0o777 == 0o600
    page = opened(file, passphrase)
    assert f"{PEOPLE} real people" in page
    assert page.count(MARK) > 3
    assert "<svg" in page
    assert not re.search(r"<script|https?://", page)
    with pytest.raises(InvalidTag):
        opened(file, new_passphrase())
    for path in released.folder.rglob("*"):
        if path.is_file():
            assert f"{PEOPLE} real people".encode() not in path.read_bytes(), path
    for target, said in ((file, "is there already"), (released.folder / "report.txt", "must end in .html")):
        refused = evaluate(released, "-o", target)
        assert refused.exit_code == 1
        assert said in refused.output


def test_a_passphrase_of_ones_own_opens_it_and_a_short_one_is_refused_before_anything_is_opened(
    released: Shelter,
) -> None:
    file = released.folder / "private.html"
    refused = evaluate(released, "-o", file, "--passphrase", "--before-decision", given="too short\n")
    assert refused.exit_code == 1
    assert "12 characters or more" in refused.output
    assert marks(released) == (False, False)
    assert decide(released, "withhold").exit_code == 0
    result = evaluate(released, "-o", file, "--passphrase", given="a longer sentence of mine\n")
    assert result.exit_code == 0, result.output
    assert "sentence" not in result.output
    assert f"{PEOPLE} real people" in opened(file, "a longer sentence of mine")


def in_a_process(shelter: Shelter, *options: str, stdout: int) -> subprocess.CompletedProcess[bytes]:
    """Run `casehaven evaluate` as a shell does, with this standard output."""
    words = ("evaluate", shelter.folder / "bundle", shelter.folder / "north.csv", "--no-attacks", *options)
    schema = ("--schema", shelter.folder / "shelter.json")
    command = [sys.executable, "-c", "from casehaven.cli import main; main()", *map(str, (*words, *schema, *shelter.places))]  # fmt: skip
    return subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=stdout, stderr=subprocess.PIPE, timeout=120, check=False
    )


def test_a_redirect_gets_no_exact_numbers_whatever_is_said(released: Shelter) -> None:
    target = released.folder / "report.txt"
    for options, said in (((), b"no terminal"), (("--to-screen",), b"standard output is a file")):
        with target.open("wb") as file:
            ended = in_a_process(released, *options, "--before-decision", stdout=file.fileno())
        assert ended.returncode == 1
        assert said in ended.stderr
        assert target.read_bytes() == b""
    assert marks(released) == (False, False)


def test_a_pipe_gets_the_report_only_when_that_is_said(released: Shelter) -> None:
    assert decide(released, "publish").exit_code == 0
    refused = in_a_process(released, stdout=subprocess.PIPE)
    assert (refused.returncode, refused.stdout, b"no terminal" in refused.stderr) == (1, b"", True)
    result = in_a_process(released, "--to-screen", stdout=subprocess.PIPE)
    assert result.returncode == 0, result.stderr
    assert f"{PEOPLE} real people".encode() in result.stdout
    assert evaluate(released, "--to-screen", "-o", released.folder / "private.html").exit_code == 2


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudoterminal of this kind")
def test_a_terminal_shows_the_report(released: Shelter) -> None:
    import pty  # there is none on Windows

    assert decide(released, "publish").exit_code == 0
    ours, theirs = pty.openpty()
    shown: list[bytes] = []

    def read() -> None:
        with contextlib.suppress(OSError):  # the end of a terminal
            while part := os.read(ours, 65_536):
                shown.append(part)

    reader = threading.Thread(target=read)
    reader.start()
    ended = in_a_process(released, stdout=theirs)
    os.close(theirs)
    reader.join(timeout=60)
    os.close(ours)
    assert ended.returncode == 0, ended.stderr
    assert f"{PEOPLE} real people".encode() in b"".join(shown)


def test_every_seal_is_another_one_and_the_size_says_little() -> None:
    one, two = (sealed_report("<p>x</p>", "a passphrase of ours") for _ in range(2))
    longer = sealed_report("<p>x</p>" * 5000, "a passphrase of ours")
    assert one != two
    assert len(one) == len(two) == len(longer)
    assert (FORMAT, ROUNDS, STEP) == (b"casehaven-sealed-report/1", 600_000, 65_536)
    assert len({new_passphrase() for _ in range(50)}) == 50


# --- from the vault ---


@pytest.fixture
def house_release(house: SafeHouse, people: MakePeople) -> SafeHouse:
    """A safe house whose dataset was released, and published."""
    records = [{**record, "mayCare": "yes", "mayCount": "yes", "mayPool": "yes"} for record in people(80)]
    house.take_in(records)
    places = ("--ledger", house.folder / "ledger.sqlite")
    for made in (
        CliRunner().invoke(main, ["ledger", "create", "--epsilon", "8", *map(str, places)]),
        CliRunner().invoke(main, ["keys", "create", "--key", str(house.folder / "key.pem")]),
        house.run(
            "release",
            "--from",
            "north/cases",
            "--open-accounts",
            "--epsilon",
            "2",
            "--out",
            house.folder / "bundle",
            *own(house),
        ),
    ):
        assert made.exit_code == 0, made.output
    return house


def own(house: SafeHouse) -> tuple[str | Path, ...]:
    return ("--ledger", house.folder / "ledger.sqlite", "--key", house.folder / "key.pem")


def test_from_the_vault_the_audit_log_says_who_and_why_and_other_datasets_are_refused_first(
    house_release: SafeHouse,
) -> None:
    house = house_release
    schema = house.folder / "house.json"
    vault = house.open()
    schema.write_text(json.dumps(vault.dataset("north", "cases").schema.document()), encoding="utf-8")
    house.add_dataset("others")
    shown = ("evaluate", house.folder / "bundle", "--schema", schema, "--to-screen")
    common = (*shown, "--reason", "how good was it", *own(house))
    wrong = house.run(*common, "--from", "north/others", "--before-decision")
    assert wrong.exit_code == 1
    assert "paid for by north/cases" in wrong.output
    decided = CliRunner().invoke(main, ["decide", "publish", str(house.folder / "bundle"), *map(str, own(house))])
    assert decided.exit_code == 0, decided.output
    assert "not covered" not in decided.output  # what was refused left no mark
    refused = house.run(*common[:-6], "--reason", " ", *own(house), "--from", "north/cases")
    assert refused.exit_code == 1
    result = house.run(*common, "--from", "north/cases")
    assert result.exit_code == 0, result.output
    assert "80 real people (north/cases)" in result.output
    assert "attacks (private" in result.output
    report = house.run("audit", "report", "--dataset", "north/cases", "--reason", "test")
    assert "release.evaluate" in report.output
    assert "how good was it" in report.output
    assert os.path.exists(decision_path(house.folder / "bundle"))


def test_attacks_for_an_impact_assessment_wait_for_the_decision_and_are_sealed(house_release: SafeHouse) -> None:
    house, out = house_release, house_release.folder / "dpia"
    schema = house.folder / "house.json"
    schema.write_text(json.dumps(house.open().dataset("north", "cases").schema.document()), encoding="utf-8")
    asked = ("dpia", "-o", out, "--schema", schema, "--attacks-on", house.folder / "bundle", "--reason", "assessment")
    refused = house.run(*asked, *own(house))
    assert refused.exit_code == 1
    assert "nothing was decided" in refused.output
    assert not out.exists()
    decided = CliRunner().invoke(main, ["decide", "publish", str(house.folder / "bundle"), *map(str, own(house))])
    assert decided.exit_code == 0, decided.output
    made = house.run(*asked, *own(house))
    assert made.exit_code == 0, made.output
    assert {path.name for path in out.iterdir()} == {"evidence.json", "evidence.html", "annex-1.html"}
    passphrase = re.search(r"passphrase (\S+)", made.output)
    assert passphrase is not None
    assert "singling out" in opened(out / "annex-1.html", passphrase[1])
    assert all("singling out" not in (out / name).read_text(encoding="utf-8") for name in os.listdir(out))
    assert "annex-1.html" in (out / "evidence.html").read_text(encoding="utf-8")
    report = house.run("audit", "report", "--dataset", "north/cases", "--reason", "test")
    assert "release.evaluate" in report.output
    assert "assessment" in report.output
    assert not is_marked(house.folder / "bundle")
