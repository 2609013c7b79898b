"""From case files to a bundle on the command line: what is refused, what is charged, and what is left behind."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from casehaven.cli._root import main
from casehaven.ledger import ChargeState, IdempotencyKey, Ledger
from casesynth.report.private_decision import SENTENCE
from casesynth.showcase import translations
from casesynth.showcase.plain import private_notice
from casesynth.signing import SigningKey, TrustStore

if TYPE_CHECKING:
    from tests.conftest import MakePeople, Record, Shelter

FILES = {
    "aggregates.csv",
    "aggregates.parquet",
    "datapackage.json",
    "datasheet.md",
    "manifest.json",
    "manifest.sig",
    "measurements.parquet",
    "model.parquet",
    "report.html",
    "showcase.html",
    "synthetic.csv",
    "synthetic.parquet",
}
NOTICE = private_notice(translations()[0])


def _spent(shelter: Shelter) -> int:
    return sum(row.spent_nano_rho for row in Ledger.open(shelter.folder / "ledger.sqlite").statement().rows)


def _advice(output: str) -> str:
    """Return what the last line tells the steward to do; the key is also printed at the start, which is no advice."""
    return next(line for line in reversed(output.splitlines()) if line.startswith("try: "))


def _state(shelter: Shelter, request: str) -> ChargeState:
    record = Ledger.open(shelter.folder / "ledger.sqlite").find(IdempotencyKey(text=request))
    assert record is not None
    return record.state


def _nothing_left(shelter: Shelter) -> bool:
    return not (shelter.folder / "bundle").exists() and not [*shelter.folder.glob(".bundle.*")]


def _facts(shelter: Shelter, out: str = "bundle") -> dict[str, object]:
    manifest = json.loads((shelter.folder / out / "manifest.json").read_text(encoding="utf-8"))
    facts: dict[str, object] = manifest["facts"]
    return facts


def test_release_writes_a_whole_bundle_that_verifies(shelter: Shelter, people: MakePeople) -> None:
    result = shelter.release(shelter.write("north.csv", people(200)))
    assert result.exit_code == 0, result.output
    bundle = shelter.folder / "bundle"
    assert {path.name for path in bundle.iterdir()} == FILES
    trust = shelter.folder / "trust.json"
    signer = SigningKey.load(shelter.folder / "key.pem").public_key.fingerprint
    other = shelter.folder / "other.pem"
    assert shelter.run("keys", "create", "--key", other).exit_code == 0
    stranger = SigningKey.load(other).public_key
    TrustStore().add("stranger", stranger).save(trust)
    unknown = shelter.run("verify", bundle, "--trust", trust)
    assert unknown.exit_code == 2
    assert signer in unknown.output
    added = shelter.run("keys", "trust", "add", "--trust", trust, "north", bundle, "--fingerprint", signer)
    assert added.exit_code == 0, added.output
    assert shelter.run("verify", bundle, "--trust", trust).exit_code == 0
    (bundle / "synthetic.csv").write_bytes(b"changed")
    changed = shelter.run("verify", bundle, "--trust", trust)
    assert changed.exit_code == 1
    assert "synthetic.csv" in changed.output


def test_summary_says_people_guarantee_error_and_time(shelter: Shelter, people: MakePeople) -> None:
    output = shelter.release(shelter.write("north.csv", people(200))).output
    for word in ("people", "95 % interval", "guarantee", "epsilon 2", "error", "time", "noisy number"):
        assert word in output


def test_pooled_release_charges_every_dataset_and_states_epsilon_per_person(
    shelter: Shelter, people: MakePeople
) -> None:
    north, south = shelter.write("north.csv", people(150)), shelter.write("south.csv", people(150, start=140))
    result = shelter.release(north, south)
    assert result.exit_code == 0, result.output
    rows = Ledger.open(shelter.folder / "ledger.sqlite").statement().rows
    assert {row.dataset for row in rows} == {"north/shelter", "south/shelter"}
    assert {row.block for row in rows} == {"", "2019", "2020", "2021", "2022", "2023"}
    assert len({row.spent_nano_rho for row in rows}) == 1
    guarantee = _facts(shelter)["guarantee"]
    assert isinstance(guarantee, dict)
    assert guarantee["max_tokens_per_person"] == 2
    assert guarantee["nano_rho_per_person"] == 4 * guarantee["nano_rho"]
    assert guarantee["epsilon_per_person"] > guarantee["epsilon"] == 2


def test_fewer_tokens_than_organisations_need_a_reason(shelter: Shelter, people: MakePeople) -> None:
    files = [shelter.write(f"{name}.csv", people(20)) for name in ("north", "south")]
    refused = shelter.release(*files, extra=("--epsilon", "1", "--max-tokens-per-person", "1"))
    assert refused.exit_code == 1
    assert "reason" in refused.output
    options = ("--epsilon", "1", "--max-tokens-per-person", "1", "--tokens-reason", "tokens are linked by passport")
    assert shelter.release(*files, extra=options).exit_code == 0
    guarantee = _facts(shelter)["guarantee"]
    assert isinstance(guarantee, dict)
    assert guarantee["max_tokens_reason"] == "tokens are linked by passport"


def test_second_release_is_refused_when_budget_is_spent(
    make_shelter: Callable[..., Shelter], people: MakePeople
) -> None:
    shelter = make_shelter("small", epsilon="2.5")
    cases = shelter.write("north.csv", people(50))
    assert shelter.release(cases).exit_code == 0
    before = _spent(shelter)
    refused = shelter.release(cases, out="again")
    assert refused.exit_code == 3
    assert _spent(shelter) == before
    assert "nothing was charged" in refused.output
    assert not (shelter.folder / "again").exists()


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("empty.csv", b"", "empty"),
        ("unknown.csv", b"token,mayRelease,year,gender,age,means,shoe\n", "shoe"),
        ("missing.csv", b"token,mayRelease,year,gender,age\n", "means"),
        ("twice.csv", b"token,mayRelease,year,gender,gender,age,means\n", "gender"),
        ("utf16.csv", "token,mayRelease,year,gender,age,means\n".encode("utf-16"), "UTF-8"),
        ("latin1.csv", b"token,mayRelease,year,gender,age,means\nsecret-7,yes,2020,f\xe9minin,20,\n", "line 2"),
        ("ragged.csv", b"token,mayRelease,year,gender,age,means\nsecret-7,yes,2020\n", "cells"),
        ("semicolon.csv", b"token;mayRelease;year;gender;age;means\n", "comma"),
        ("nokey.csv", b"token,mayRelease,year,gender,age,means\n,yes,2020,woman,secret-7,\n", "row 2"),
        ("quote.csv", b'token,mayRelease,year,gender,age,means\n"secret-7,yes,2020,woman,20,\n', "quote"),
        ("nul.csv", b"token,mayRelease,year,gender,age,means,\x00\n", "nul.csv"),
        ("cases.xlsx", b"PK\x03\x04", ".csv or .parquet"),
        ("broken.parquet", b"PAR1 but not really", "Parquet"),
    ],
)
def test_bad_file_is_refused_by_name_before_any_charge(shelter: Shelter, name: str, content: bytes, says: str) -> None:
    path = shelter.folder / name
    path.write_bytes(content)
    result = shelter.release(path)
    assert result.exit_code == 1, result.output
    assert name in result.output
    assert says in result.output
    assert "secret-7" not in result.output
    assert "Traceback" not in result.output
    assert _spent(shelter) == 0
    assert _nothing_left(shelter)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--epsilon", "0"), "epsilon"),
        (("--epsilon", "-1"), "epsilon"),
        (("--epsilon", "1000000"), "epsilon"),
        (("--epsilon", "nan"), "epsilon"),
        (("--epsilon", "inf"), "epsilon"),
        (("--epsilon", "2", "--delta", "0"), "delta"),
        (("--epsilon", "2", "--delta", "0.5"), "delta"),
        (("--epsilon", "2", "--people-cap", "0"), "people_cap"),
        (("--epsilon", "2", "--people-cap", "10"), "10 people"),
        (("--epsilon", "2", "--person-key", "passport"), "passport"),
        (("--epsilon", "2", "--organisation", "b"), "organisations"),
    ],
)
def test_bad_policy_is_refused_before_any_charge(
    shelter: Shelter, people: MakePeople, options: tuple[str, ...], says: str
) -> None:
    result = shelter.release(shelter.write("north.csv", people(30)), extra=options)
    assert result.exit_code == 1, result.output
    assert says in result.output
    assert "Traceback" not in result.output
    assert _spent(shelter) == 0
    assert _nothing_left(shelter)


def test_records_without_consent_column_need_a_legal_basis(shelter: Shelter, people: MakePeople) -> None:
    header = ("token", "year", "gender", "age", "means")
    without = [{name: record.get(name, "") for name in header} for record in people(60)]
    cases = shelter.write("north.csv", without, header)
    refused = shelter.release(cases)
    assert refused.exit_code == 1
    assert "legal basis" in refused.output
    assert _spent(shelter) == 0
    accepted = shelter.release(cases, extra=("--epsilon", "2", "--legal-basis", "court order 12"))
    assert accepted.exit_code == 0, accepted.output
    facts = _facts(shelter)
    assert facts["legal_basis"] == "court order 12"
    assert facts["consent_applied"] is False


def test_people_without_consent_do_not_count(shelter: Shelter, people: MakePeople) -> None:
    refusing: list[Record] = [{**record, "mayRelease": "no"} for record in people(2000, start=1000)]
    silent: list[Record] = [{**record, "mayRelease": ""} for record in people(2000, start=4000)]
    result = shelter.release(shelter.write("north.csv", [*people(300), *refusing, *silent]), extra=("--epsilon", "7"))
    assert result.exit_code == 0, result.output
    noisy = _facts(shelter)["people"]
    assert isinstance(noisy, dict)
    assert 200 < noisy["estimate"] < 400
    assert _facts(shelter)["consent_applied"] is True


@pytest.mark.parametrize("count", [0, 1, 40])
def test_few_people_make_a_bundle_that_hides_what_is_small(shelter: Shelter, people: MakePeople, count: int) -> None:
    result = shelter.release(shelter.write("north.csv", people(count)), extra=("--epsilon", "1"))
    assert result.exit_code == 0, result.output
    assert {path.name for path in (shelter.folder / "bundle").iterdir()} == FILES


def test_values_outside_the_domain_are_not_an_error_and_never_named(shelter: Shelter, people: MakePeople) -> None:
    odd: Record = {
        "token": "x",
        "mayRelease": "yes",
        "gender": "secret-value",
        "year": "1850",
        "age": "minus",
        "means": "?",
    }
    result = shelter.release(shelter.write("north.csv", [*people(30), odd]))
    assert result.exit_code == 0, result.output
    assert "secret-value" not in result.output


def test_same_key_again_is_the_same_bundle_at_no_charge(shelter: Shelter, people: MakePeople) -> None:
    cases = shelter.write("north.csv", people(60))
    options = ("--epsilon", "2", "--idempotency-key", "request-0001")
    assert shelter.release(cases, extra=options).exit_code == 0
    before = {path.name: path.read_bytes() for path in (shelter.folder / "bundle").iterdir()}
    spent = _spent(shelter)
    again = shelter.release(cases, extra=options)
    assert again.exit_code == 0, again.output
    assert "released before" in again.output
    assert _spent(shelter) == spent
    assert {path.name: path.read_bytes() for path in (shelter.folder / "bundle").iterdir()} == before
    other = shelter.release(cases, extra=("--epsilon", "3", "--idempotency-key", "request-0001"))
    assert other.exit_code == 1
    assert _spent(shelter) == spent


def test_existing_folder_is_never_overwritten(shelter: Shelter, people: MakePeople) -> None:
    (shelter.folder / "bundle").mkdir()
    (shelter.folder / "bundle" / "keep.txt").write_text("mine")
    result = shelter.release(shelter.write("north.csv", people(30)))
    assert result.exit_code == 1
    assert _spent(shelter) == 0
    assert [path.name for path in (shelter.folder / "bundle").iterdir()] == ["keep.txt"]


def test_full_disk_leaves_no_half_bundle_and_the_charge_stands(
    shelter: Shelter, people: MakePeople, monkeypatch: pytest.MonkeyPatch
) -> None:
    cases = shelter.write("north.csv", people(60))

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    options = ("--epsilon", "2", "--idempotency-key", "request-0002")
    with monkeypatch.context() as broken:
        broken.setattr("casesynth.tables.pq.write_table", full)
        result = shelter.release(cases, extra=options)
    assert result.exit_code == 1
    assert "No space left" in result.output
    assert "--idempotency-key request-0002" in _advice(result.output)
    assert _nothing_left(shelter)
    spent = _spent(shelter)
    assert spent > 0
    assert shelter.release(cases, extra=options).exit_code == 0  # one redraw under the same charge
    assert _spent(shelter) == spent


def test_interrupt_in_the_middle_leaves_no_half_bundle_and_the_charge_stands(
    shelter: Shelter, people: MakePeople
) -> None:
    cases = shelter.write("north.csv", people(400))
    arguments = shelter.release_arguments(cases, extra=("--epsilon", "2", "--idempotency-key", "request-0003"))
    program = [sys.executable, "-m", "casehaven", *arguments]
    with subprocess.Popen(program, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "fitting" in line:
                process.send_signal(signal.SIGINT)
                break
        rest = process.stderr.read()
        assert process.wait(timeout=120) == 130, rest
    assert "the charge stands" in rest
    assert "--idempotency-key request-0003" in _advice(rest)
    assert _nothing_left(shelter)
    spent = _spent(shelter)
    assert spent > 0
    again = shelter.release(cases, extra=("--epsilon", "2", "--idempotency-key", "request-0003"))
    assert again.exit_code == 0, again.output
    assert _spent(shelter) == spent


def test_killed_process_leaves_the_charge_and_no_bundle(shelter: Shelter, people: MakePeople) -> None:
    cases = shelter.write("north.csv", people(400))
    arguments = shelter.release_arguments(cases, extra=("--epsilon", "2", "--idempotency-key", "request-0004"))
    for attempt in range(3):
        program = [sys.executable, "-m", "casehaven", *arguments]
        with subprocess.Popen(program, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            assert process.stderr is not None
            lines = []
            for line in process.stderr:
                lines.append(line)
                if "fitting" in line:
                    os.kill(process.pid, signal.SIGKILL)
            process.wait(timeout=120)
        assert not (shelter.folder / "bundle").exists()
        if attempt < 2:
            assert process.returncode == -signal.SIGKILL
        else:  # drawn and redrawn, nothing revealed: there is no third draw
            assert process.returncode == 1
            assert "nothing more may be drawn" in "".join(lines)
    assert _spent(shelter) > 0


def test_file_that_changes_after_the_check_is_refused(
    shelter: Shelter, people: MakePeople, monkeypatch: pytest.MonkeyPatch
) -> None:
    cases = shelter.write("north.csv", people(60))
    honest = Ledger.begin_draw

    def late_edit(ledger: Ledger, receipt: object) -> object:
        with Path(cases).open("a", encoding="utf-8") as file:
            file.write("late,,yes,2020,man,20,\r\n")
        return honest(ledger, receipt)  # type: ignore[arg-type]

    monkeypatch.setattr(Ledger, "begin_draw", late_edit)
    result = shelter.release(cases)
    assert result.exit_code == 1
    assert "changed" in result.output
    assert _nothing_left(shelter)


@pytest.mark.parametrize(
    "moment", ["casesynth.bundle.write_model", "casesynth.bundle.sign_manifest", "casesynth.bundle.os.rename"]
)
def test_writing_that_was_cut_short_is_finished_and_nothing_is_drawn_again(
    shelter: Shelter, people: MakePeople, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """Killed with bytes of the result on disk: somebody may have seen them, so the same measurements become the bundle."""
    cases = shelter.write("north.csv", people(60))
    options = ("--epsilon", "2", "--idempotency-key", "request-0005")

    def killed(*_: object, **__: object) -> None:
        raise _Killed

    with monkeypatch.context() as broken:
        broken.setattr(moment, killed)
        broken.setattr("casesynth.bundle.nothing_left", lambda *_: False)  # a killed process removes nothing
        with pytest.raises(_Killed):
            CliRunner().invoke(main, shelter.release_arguments(cases, extra=options), catch_exceptions=False)
    (partial,) = shelter.folder.glob(".bundle.*.partial")
    measured = (partial / "bundle" / "measurements.parquet").read_bytes()
    spent = _spent(shelter)
    cases.unlink()  # the records are not needed any more
    again = shelter.release(cases, extra=options)
    assert again.exit_code == 0, again.output
    assert {path.name for path in (shelter.folder / "bundle").iterdir()} == FILES
    assert (shelter.folder / "bundle" / "measurements.parquet").read_bytes() == measured
    assert _state(shelter, "request-0005") is ChargeState.REVEALED
    assert not [*shelter.folder.glob(".bundle.*")]
    assert _spent(shelter) == spent


class _Killed(BaseException):
    """Ends the process in a test as SIGKILL would: nothing handles it."""


def test_interrupt_after_the_reveal_is_finished_free_as_the_advice_says(
    shelter: Shelter, people: MakePeople, monkeypatch: pytest.MonkeyPatch
) -> None:
    cases = shelter.write("north.csv", people(60))
    options = ("--epsilon", "2", "--idempotency-key", "request-0013")

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr("casesynth.bundle.os.rename", interrupted)
        stopped = shelter.release(cases, extra=options)
    assert stopped.exit_code == 130
    assert "--idempotency-key request-0013" in _advice(stopped.output)
    assert _state(shelter, "request-0013") is ChargeState.REVEALED
    spent = _spent(shelter)
    assert shelter.release(cases, extra=options).exit_code == 0
    assert _spent(shelter) == spent


def test_writing_that_left_nothing_to_finish_is_never_drawn_again(
    shelter: Shelter, people: MakePeople, monkeypatch: pytest.MonkeyPatch
) -> None:
    cases = shelter.write("north.csv", people(60))
    options = ("--epsilon", "2", "--idempotency-key", "request-0006")

    def killed(*_: object, **__: object) -> None:
        raise _Killed

    with monkeypatch.context() as broken:
        broken.setattr("casesynth.bundle.write_model", killed)
        broken.setattr("casesynth.bundle.nothing_left", lambda *_: False)
        with pytest.raises(_Killed):
            CliRunner().invoke(main, shelter.release_arguments(cases, extra=options), catch_exceptions=False)
    (partial,) = shelter.folder.glob(".bundle.*.partial")
    partial.rename(shelter.folder / "copied-away")
    spent = _spent(shelter)
    again = shelter.release(cases, extra=options)
    assert again.exit_code == 1
    assert "was drawn before" in again.output
    assert not (shelter.folder / "bundle").exists()
    assert _state(shelter, "request-0006") is ChargeState.WRITING
    assert _spent(shelter) == spent


def test_folder_that_went_away_with_a_result_in_it_is_no_reason_to_draw_again(
    shelter: Shelter, people: MakePeople, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stick that is pulled out while a bundle is written still holds what was written."""
    stick = shelter.folder / "stick"
    stick.mkdir()
    cases = shelter.write("north.csv", people(60))
    options = ("--epsilon", "2", "--idempotency-key", "request-0008")

    def pulled(*_: object, **__: object) -> None:
        stick.rename(shelter.folder / "in-a-pocket")
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as broken:
        broken.setattr("casesynth.bundle.write_model", pulled)
        assert shelter.release(cases, out="stick/bundle", extra=options).exit_code == 1
    assert _state(shelter, "request-0008") is ChargeState.WRITING
    stick.mkdir()
    assert shelter.release(cases, out="stick/bundle", extra=options).exit_code == 1
    assert not [*stick.iterdir()]
    stick.rmdir()
    (shelter.folder / "in-a-pocket").rename(stick)
    found = shelter.release(cases, out="stick/bundle", extra=options)
    assert found.exit_code == 0, found.output


def test_finishing_one_bundle_leaves_the_unfinished_others_alone(
    shelter: Shelter, people: MakePeople, monkeypatch: pytest.MonkeyPatch
) -> None:
    cases = shelter.write("north.csv", people(60))

    def killed(*_: object, **__: object) -> None:
        raise _Killed

    requests = {"bundle": "request-0009", "bundle.v2": "request-0010"}
    with monkeypatch.context() as broken:
        broken.setattr("casesynth.bundle.write_model", killed)
        broken.setattr("casesynth.bundle.nothing_left", lambda *_: False)
        for out, request in requests.items():
            arguments = shelter.release_arguments(
                cases, out=out, extra=("--epsilon", "2", "--idempotency-key", request)
            )
            with pytest.raises(_Killed):
                CliRunner().invoke(main, arguments, catch_exceptions=False)
    for out, request in requests.items():
        finished = shelter.release(cases, out=out, extra=("--epsilon", "2", "--idempotency-key", request))
        assert finished.exit_code == 0, finished.output


def test_failure_while_finishing_keeps_what_is_needed_to_finish(
    shelter: Shelter, people: MakePeople, monkeypatch: pytest.MonkeyPatch
) -> None:
    cases = shelter.write("north.csv", people(60))
    options = ("--epsilon", "2", "--idempotency-key", "request-0011")

    def killed(*_: object, **__: object) -> None:
        raise _Killed

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr("casesynth.bundle.write_model", killed)
        broken.setattr("casesynth.bundle.nothing_left", lambda *_: False)
        with pytest.raises(_Killed):
            CliRunner().invoke(main, shelter.release_arguments(cases, extra=options), catch_exceptions=False)
    with monkeypatch.context() as broken:
        broken.setattr("casesynth.bundle.write_model", full)
        assert shelter.release(cases, extra=options).exit_code == 1
    assert _state(shelter, "request-0011") is ChargeState.WRITING
    assert shelter.release(cases, extra=options).exit_code == 0


def test_two_processes_never_work_on_one_request(shelter: Shelter, people: MakePeople) -> None:
    cases = shelter.write("north.csv", people(60))
    name = hashlib.sha256(b"request-0012").hexdigest()[:16]
    with (shelter.folder / f"ledger.sqlite.{name}.lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        busy = shelter.release(cases, extra=("--epsilon", "2", "--idempotency-key", "request-0012"))
    assert busy.exit_code == 1
    assert "another process" in busy.output
    assert _spent(shelter) == 0


def test_dataset_without_an_account_is_refused_unless_it_is_said_to_be_new(
    shelter: Shelter, people: MakePeople
) -> None:
    cases = shelter.write("north.csv", people(30))
    assert shelter.release(cases, extra=("--epsilon", "1")).exit_code == 0
    slip = shelter.write("nroth.csv", people(30))
    arguments = [part for part in shelter.release_arguments(slip, out="slip") if part != "--open-accounts"]
    refused = shelter.run(*arguments)
    assert refused.exit_code == 1
    assert "did you mean north/shelter?" in refused.output
    assert {row.dataset for row in Ledger.open(shelter.folder / "ledger.sqlite").statement().rows} == {"north/shelter"}


def test_ledger_keeps_nothing_that_depends_on_the_records(
    make_shelter: Callable[[str], Shelter], people: MakePeople
) -> None:
    """Whoever reads the ledger file and guesses the records cannot confirm the guess."""
    dumps = []
    for name, count in (("one", 60), ("two", 61)):
        shelter = make_shelter(name)
        options = ("--epsilon", "2", "--idempotency-key", "request-0007")
        assert shelter.release(shelter.write("north.csv", people(count)), extra=options).exit_code == 0
        with contextlib.closing(sqlite3.connect(shelter.folder / "ledger.sqlite")) as ledger:
            dumps.append(
                ledger.execute("SELECT request_sha256, nano_rho, purpose, draws, shown FROM charge").fetchall()
            )
    assert dumps[0] == dumps[1]


def test_decision_that_used_private_data_is_stated(shelter: Shelter, people: MakePeople) -> None:
    cases = shelter.write("north.csv", people(30))
    assert shelter.release(cases, extra=("--epsilon", "1")).exit_code == 0
    declared = ("--epsilon", "1", "--decision-used-private-data")
    assert shelter.release(cases, out="second", extra=declared).exit_code == 0
    for out, stated in (("bundle", False), ("second", True)):
        guarantee = _facts(shelter, out)["guarantee"]
        assert isinstance(guarantee, dict)
        assert guarantee["decision_used_private_data"] is stated
        for name in ("report.html", "datasheet.md", "datapackage.json"):
            assert (SENTENCE in (shelter.folder / out / name).read_text(encoding="utf-8")) is stated
        assert (NOTICE in (shelter.folder / out / "showcase.html").read_text(encoding="utf-8")) is stated
