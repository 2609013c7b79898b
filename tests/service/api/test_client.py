"""The client against a real service over HTTP: one question and its frame, requests that break off and are sent again, tokens that are wrong, and the command line with `--server`."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import delete, func, select, update
from tests.ports import free_ports

from casehaven.cli import main
from casehaven.client import (
    BadRequestError,
    BudgetRefusedError,
    Client,
    ConflictError,
    NotAllowedError,
    NotThereError,
    Patience,
    SignInNeededError,
    UnexpectedAnswerError,
    UnreachableError,
    new_key,
)
from casehaven.core.release_rows import add_release, set_state
from casehaven.core.service_tables import job, upload
from casehaven.core.service_tables import release as release_table
from casehaven.signin.models import token as token_table
from casesynth.manifest import sign_manifest, write_manifest
from casesynth.signing import SigningKey, TrustStore

if TYPE_CHECKING:
    from tests.service.api.conftest import Caller, House

ASKS = (
    "dataset.list",
    "question.quote",
    "question.ask",
    "answer.list",
    "budget.read",
    "release.list",
    "release.download",
    "job.read",
    "job.cancel",
)
SENDS = ("dataset.list", "upload.create", "upload.read", "upload.commit", "person.find", "person.consent", "job.read")
YEARS = ["2019", "2020", "2021", "2022", "2023"]
QUESTION: dict[str, Any] = {"by": ["gender"], "registered": YEARS, "within": 16}
"""Of years that no other test asks about together: no answer is there before. Of 67 men and 83 women, with noise of a standard deviation of 8.2, one is hidden once in 10^8 runs."""
HURRY = Patience(attempts=2, first_seconds=0.05)


def token_of(caller: Caller, *operations: str) -> tuple[str, str]:
    """Make a token on the account page of a member; return its value and its id."""
    made = caller.post("/v1/tokens", {"name": "tests", "operations": list(operations), "days": 1})
    assert made.status_code == 201, made.text
    return made.json()["value"], made.json()["id"]


@pytest.fixture(scope="module")
def researcher(house: House) -> Iterator[Client]:
    with Client(house.running.origin, token_of(house.researcher, *ASKS)[0]) as client:
        yield client


@pytest.fixture(scope="module")
def steward(house: House) -> Iterator[Client]:
    with Client(house.running.origin, token_of(house.north, *SENDS)[0]) as client:
        yield client


def left(client: Client) -> int:
    """Return what is left of the researcher's fair share."""
    (share,) = client.budgets.allowances()
    assert share.left_nano_rho is not None
    return share.left_nano_rho


def count_of(house: House, table: Any, *where: Any) -> int:
    with house.running.store.reading() as connection:
        return int(connection.scalar(select(func.count()).select_from(table).where(*where)) or 0)


# --- one question ---


def test_a_question_comes_back_as_a_frame_and_the_same_key_is_the_same_bytes_at_no_charge(
    house: House, researcher: Client
) -> None:
    (dataset,) = researcher.datasets.list()
    assert (dataset.id, dataset.schema, dataset.people_cap) == ("north/cases", "ctdc-global", 2_000)
    quote = researcher.queries.quote(dataset.id, **QUESTION)
    before, key, phases = left(researcher), new_key(), []
    first = researcher.queries.ask(dataset.id, key=key, progress=lambda found: phases.append(found.phase), **QUESTION)
    assert first.charged_nano_rho == quote.nano_rho == before - left(researcher) > 0
    assert phases[-1] == "ended"
    again = researcher.queries.ask(dataset.id, key=key, **QUESTION)
    assert again.to_bytes() == first.to_bytes()
    assert before - left(researcher) == quote.nano_rho
    frame = first.to_pandas()
    assert list(frame.columns) == ["gender", "kind", "value", "low", "high", "rho", "hidden"]
    seen = frame[~frame["hidden"]]
    assert len(seen) >= 2
    assert ((seen["low"] <= seen["value"]) & (seen["value"] <= seen["high"])).all()
    assert (frame["rho"] == quote.nano_rho / 10**9).all()
    assert frame[frame["hidden"]][["value", "low", "high"]].isna().all().all()
    assert first.to_bytes() in {answer.to_bytes() for answer in researcher.answers.list(dataset.id)}
    with pytest.raises(ConflictError) as refused:
        researcher.queries.ask(dataset.id, key=key, by=["gender"], within=80)
    assert refused.value.code == "idempotency-key-reused"


def test_refusals_come_as_their_family_with_code_and_advice(researcher: Client) -> None:
    with pytest.raises(BadRequestError) as fault:
        researcher.queries.quote("north/cases", by=["no-such-attribute"], within=60)
    assert fault.value.code == "question"
    for name in ("south/cases", "nobody/nothing"):
        with pytest.raises(NotThereError) as foreign:
            researcher.queries.quote(name, **QUESTION)
        assert foreign.value.code == "not-found"
        assert foreign.value.advice
    with pytest.raises(BudgetRefusedError) as spent:
        researcher.queries.ask("north/cases", by=["gender"], within=2)
    assert spent.value.code in ("allowance-exhausted", "budget-exhausted")
    with pytest.raises((NotAllowedError, NotThereError)):
        researcher.datasets.create("lab/mine", schema="ctdc-global", people_cap=100)


def test_whose_token_it_is(researcher: Client) -> None:
    statement = researcher.budgets.statement()
    assert statement.document["format"] == "casehaven-budget-statement/1"
    assert "north/cases" in statement.words


# --- tokens and servers that are not there ---


def test_a_wrong_an_expired_and_a_revoked_token_are_refused_alike(house: House) -> None:
    expired, expired_id = token_of(house.researcher, "dataset.list")
    revoked, revoked_id = token_of(house.researcher, "dataset.list")
    with house.running.store.writing() as connection:
        connection.execute(update(token_table).where(token_table.c.id == expired_id).values(ends_at=int(time.time())))
    assert house.researcher.call("DELETE", f"/v1/tokens/{revoked_id}").status_code == 204
    said = set()
    for text in ("chv_" + "w" * 43, expired, revoked):
        with Client(house.running.origin, text) as client, pytest.raises(SignInNeededError) as refused:
            client.datasets.list()
        said.add((refused.value.status, refused.value.code, str(refused.value), refused.value.__notes__[0]))
        assert text not in repr(refused.value) + str(vars(refused.value))
    assert len(said) == 1


def test_a_token_without_the_operation_is_not_allowed_and_one_without_a_second_factor_is_told_where(
    house: House, steward: Client
) -> None:
    with pytest.raises(NotAllowedError) as refused:
        steward.queries.quote("north/cases", **QUESTION)
    assert refused.value.code == "forbidden"
    body = {"reference": house.person, "reason": "test"}
    with pytest.raises(NotAllowedError) as refused:
        steward.jobs.ask("POST", "/v1/datasets/north/cases/people/show", body=body)
    assert refused.value.code in ("step-up-needed", "forbidden")  # a token is made for neither


def test_a_server_that_is_down_is_named(free_port: int) -> None:
    place = f"http://localhost:{free_port}"
    with (
        Client(place, "chv_" + "x" * 43, patience=HURRY) as client,
        pytest.raises(UnreachableError, match=f"{place} cannot be reached"),
    ):
        client.datasets.list()


@pytest.fixture
def free_port() -> int:
    """Return a port where nobody is."""
    return free_ports(1)[0]


# --- broken off and sent again ---


@pytest.fixture
def cut(house: House, tmp_path: Path) -> Callable[[str, str], None]:
    """Run a client in a process that stops where it says `stop()`, and kill it there."""

    def run(text: str, code: str) -> None:
        script = (
            "import os, sys, time\nfrom casehaven.client import Client\n"
            "def stop(*_):\n    os.write(1, b'here\\n')\n    time.sleep(600)\n"
            f"client = Client({house.running.origin!r}, os.environ['CASEHAVEN_TOKEN'])\n{code}\n"
        )
        environment = {**os.environ, "CASEHAVEN_TOKEN": text}
        with subprocess.Popen(
            [sys.executable, "-c", script], stdout=subprocess.PIPE, env=environment, cwd=tmp_path
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"here\n"
            process.kill()

    return run


def test_an_upload_that_breaks_off_arrives_once_when_it_is_sent_again(
    house: House, steward: Client, cut: Callable[[str, str], None], tmp_path: Path
) -> None:
    file, key = tmp_path / "cases.csv", new_key()
    header = "caseReference,personToken,consentPooledStatistics,consentSyntheticRelease,yearOfRegistration,gender\n"
    file.write_text(header + "".join(f"c{n},new-{n},yes,yes,2021,Woman\n" for n in range(20_000)), encoding="utf-8")
    before = count_of(house, upload)
    raw = house.running.store.uploads
    there = set(raw.iterdir())
    cut(
        token_of(house.north, *SENDS)[0],
        f"client.uploads.send({str(file)!r}, 'north/cases', key={key!r}, sent=lambda done, whole: done >= whole // 2 and stop())",
    )
    house.running.wait(lambda: set(raw.iterdir()) == there, 30)  # what broke off is removed
    assert count_of(house, upload) == before
    told: list[tuple[int, int]] = []
    first = steward.uploads.send(file, "north/cases", key=key, sent=lambda done, whole: told.append((done, whole)))
    assert told[-1] == (file.stat().st_size,) * 2
    assert steward.uploads.send(file, "north/cases", key=key) == first
    assert count_of(house, upload) == before + 1
    assert steward.uploads.get("north/cases", first.id).state == "received"
    other = tmp_path / "other.csv"
    other.write_text(header, encoding="utf-8")
    with pytest.raises(ConflictError):
        steward.uploads.send(other, "north/cases", key=key)
    steward.uploads.destroy(first)
    assert steward.uploads.get("north/cases", first.id).state == "destroyed"


def test_a_question_whose_client_died_is_charged_once(
    house: House, researcher: Client, cut: Callable[[str, str], None]
) -> None:
    key = new_key()
    question: dict[str, Any] = {"by": ["ageBroad"], "within": 40}
    jobs = count_of(house, job, job.c.kind == "question.ask")
    before, price = left(researcher), researcher.queries.quote("north/cases", **question).nano_rho
    cut(
        token_of(house.researcher, *ASKS)[0],
        f"client.queries.ask('north/cases', key={key!r}, by=['ageBroad'], within=40, progress=stop)",
    )
    answers = {researcher.queries.ask("north/cases", key=key, **question).to_bytes() for _ in range(2)}
    assert len(answers) == 1
    assert before - left(researcher) == price
    assert count_of(house, job, job.c.kind == "question.ask") == jobs + 1


# --- a file, whole way ---


def test_a_file_is_proposed_looked_at_and_taken_in_once(steward: Client, tmp_path: Path) -> None:
    file = tmp_path / "few.csv"
    header = "caseReference,personToken,consentPooledStatistics,consentSyntheticRelease,yearOfRegistration,gender\n"
    file.write_text(header + "few-1,few-person-1,yes,yes,2021,Woman\nfew-2,few-person-2,yes,yes,2021,Man\n")
    sent = steward.uploads.send(file, "north/cases")
    found = steward.uploads.propose(sent)
    assert found.person_known
    assert found.report is not None
    assert (found.report["rows"], found.report["taken"]) == (2, 2)
    done = steward.uploads.commit(sent, mapping=found.mapping)
    assert (done.new, done.corrected, done.there_already, done.repeated) == (2, 0, 0, False)
    assert steward.uploads.commit(steward.uploads.send(file, "north/cases"), mapping=found.mapping).repeated
    assert steward.people.find("north/cases", "few-person-1", reason="test")
    assert not steward.people.find("north/cases", "few-person-9", reason="test")
    assert (
        steward.people.consent(
            "north/cases", "few-person-1", purpose="pooled_statistics", given=False, reason="withdrawn"
        )
        > 0
    )
    with pytest.raises(NotThereError):
        steward.people.consent("north/cases", "few-person-9", purpose="care", given=False, reason="none")


# --- a bundle ---


@pytest.fixture
def published(house: House) -> Iterator[tuple[str, SigningKey]]:
    """A small signed bundle in the registry; taken out again."""
    release_id, key = secrets.token_hex(16), SigningKey.create()
    folder = house.running.store.releases / release_id
    folder.mkdir()
    (folder / "records.csv").write_bytes(b"gender\nWoman\n" * 50_000)
    (folder / "report.html").write_text("<p>a report</p>", encoding="utf-8")
    write_manifest(folder, {"title": "Made up"})
    sign_manifest(folder, key)
    said = {
        "organisation": "north",
        "title": "Made up",
        "fingerprint": key.public_key.fingerprint,
        "files": sorted(path.name for path in folder.iterdir()),
    }
    with house.running.store.writing() as connection:
        add_release(connection, release_id, "north", said, now=int(time.time()))
        set_state(connection, release_id, "published")
    yield release_id, key
    with house.running.store.writing() as connection:
        connection.execute(delete(release_table).where(release_table.c.release_id == release_id))
    shutil.rmtree(folder)


def test_a_published_bundle_is_listed_fetched_and_verified_and_a_changed_one_leaves_nothing(
    house: House, researcher: Client, published: tuple[str, SigningKey], run: Callable[..., Result], tmp_path: Path
) -> None:
    release_id, key = published
    listed = {found.id: found for found in researcher.releases.list()}
    assert (listed[release_id].title, listed[release_id].state) == ("Made up", "published")
    trust = TrustStore().add("north", key.public_key)
    found = researcher.releases.download(release_id, tmp_path / "bundle", trust=trust)
    assert researcher.releases.verify(found.folder, trust).trusted
    assert (found.folder / "records.csv").stat().st_size == 650_000
    unknown = run("releases", "download", release_id, "--out", str(tmp_path / "two"))
    assert (unknown.exit_code, key.public_key.fingerprint in unknown.stderr) == (2, True), unknown.output
    kept = run("releases", "download", release_id, "--out", str(tmp_path / "two"), "--any-signer")
    assert kept.exit_code == 0, kept.output
    assert release_id in run("releases", "list").stdout
    with (house.running.store.releases / release_id / "records.csv").open("r+b") as file:
        file.write(b"x")
    with pytest.raises(UnexpectedAnswerError, match=r"records\.csv is not as it was signed"):
        researcher.releases.download(release_id, tmp_path / "three", trust=trust)
    with pytest.raises(NotThereError):
        researcher.releases.download("0" * 32, tmp_path / "three", trust=trust)
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "token") == ["bundle", "two"]


# --- the command line ---


@pytest.fixture
def run(house: House, tmp_path: Path) -> Callable[..., Result]:
    """Run the command line for the researcher, in an empty folder."""
    place = tmp_path / "token"
    place.write_text(token_of(house.researcher, *ASKS)[0], encoding="ascii")
    place.chmod(0o600)
    environment = {"CASEHAVEN_SERVER": house.running.origin, "CASEHAVEN_TOKEN_FILE": str(place)}

    def called(*words: str, **variables: str | None) -> Result:
        return CliRunner().invoke(main, list(words), env={**environment, **variables}, catch_exceptions=False)

    return called


def test_the_command_line_asks_a_server_with_the_same_words(
    researcher: Client, run: Callable[..., Result], tmp_path: Path
) -> None:
    words = ("--from", "north/cases", "--by", "gender", "--registered", "2018,2019", "--within", "40")
    question: dict[str, Any] = {
        "by": ["gender"],
        "registered": ["2018", "2019"],
        "within": 40,
    }  # asked in no other test
    key = new_key()
    answer = researcher.queries.ask("north/cases", key=key, **question)
    quoted = run("quote", *words)
    assert quoted.exit_code == 0, quoted.output
    assert "a quote fixes price and accuracy" in quoted.stdout
    assert "allowance  north/cases: 0.0" in quoted.stdout
    asked = run("ask", *words, "--idempotency-key", key, "--json")
    assert asked.exit_code == 0, asked.output
    assert json.loads(asked.stdout) == answer.document
    shown = run("ask", *words, "--idempotency-key", key)
    assert "95 % interval" in shown.stdout
    assert "guarantee  epsilon" in shown.stdout
    listed = run("answers", "--from", "north/cases", "--json")
    assert answer.document in json.loads(listed.stdout)
    assert "counts by gender" in run("answers", "--from", "north/cases").stdout
    place = tmp_path / "statement.json"
    stated = run("budget", "statement", "-o", str(place))
    assert stated.exit_code == 0, stated.output
    assert run("budget", "verify", str(place)).exit_code == 2  # whole, and by a signer that nobody trusts yet
    assert run("releases", "list").exit_code == 0


def test_the_command_line_takes_a_file_into_a_dataset_of_the_server(house: House, tmp_path: Path) -> None:
    environment = {"CASEHAVEN_SERVER": house.running.origin, "CASEHAVEN_TOKEN": token_of(house.north, *SENDS)[0]}

    def intake(file: Path, *words: str) -> Result:
        known = ("--organisation", "north", "--dataset", "cases", "--schema", "ctdc-global")
        return CliRunner().invoke(main, ["intake", str(file), *known, *words], env=environment)

    with Client(environment["CASEHAVEN_SERVER"], environment["CASEHAVEN_TOKEN"]) as client:
        there = {found.id for found in client.uploads.list("north/cases")}  # of tests before
    file, mapping = tmp_path / "by-hand.csv", tmp_path / "mapping.json"
    header = "caseReference,personToken,consentPooledStatistics,consentSyntheticRelease,yearOfRegistration,gender\n"
    rows = "hand-1,hand-person-1,yes,yes,2021,Woman\nhand-2,hand-person-2,yes,yes,2022,Man\n"
    file.write_text(header + rows, encoding="utf-8")
    dry = intake(file, "--dry-run", "--save-mapping", str(mapping))
    assert dry.exit_code == 0, dry.output
    assert "2 read, 2 to be taken in" in dry.stdout
    assert "nothing was taken in" in dry.stdout
    taken = intake(file, "--mapping", str(mapping), "--yes")
    assert taken.exit_code == 0, taken.output
    assert "taken in   by-hand.csv: north/cases" in taken.stdout
    bad = tmp_path / "bad.csv"
    bad.write_text(header + rows.replace("hand", "bad") + "bad-3,,yes,yes,2021,Woman\n", encoding="utf-8")
    behind = intake(bad, "--yes", "--mapping", str(mapping))
    assert (behind.exit_code, "some rows cannot be taken in" in behind.stderr) == (1, True), behind.output
    assert intake(file, "--schema", "htcds-2.0").exit_code in (1, 2)
    assert intake(file, "--minors", "leave-out", "--yes").exit_code == 2
    person = ["--dataset", "north/cases", "--reason", "test"]
    found = CliRunner().invoke(main, ["person", "find", "hand-person-1", *person], env=environment)
    assert (found.exit_code, found.stdout) == (0, "found in north/cases\n"), found.output
    nobody = CliRunner().invoke(main, ["person", "find", "hand-person-9", *person], env=environment)
    assert (nobody.exit_code, "nobody is there" in nobody.stderr) == (1, True)
    said = ["--purpose", "pooled_statistics", "--refused"]
    consent = CliRunner().invoke(main, ["person", "consent", "hand-person-1", *person, *said], env=environment)
    assert "recorded: pooled statistics, no, version" in consent.stdout, consent.output
    with Client(environment["CASEHAVEN_SERVER"], environment["CASEHAVEN_TOKEN"]) as client:
        mine = [found.state for found in client.uploads.list("north/cases") if found.id not in there]
    assert mine and set(mine) <= {"committed", "destroyed"}


def test_the_command_line_ends_as_it_would_here(run: Callable[..., Result]) -> None:
    exhausted = run("ask", "--from", "north/cases", "--by", "gender", "--within", "2")
    assert exhausted.exit_code == 3, exhausted.output
    missing = run("quote", "--from", "south/cases", "--by", "gender", "--within", "62")
    assert (missing.exit_code, missing.stderr.count("\n")) == (1, 2)
    contradiction = run(
        "quote", "--from", "north/cases", "--within", "62", "--vault", "v", "--server", "http://localhost"
    )
    assert contradiction.exit_code == 2
    here = run("quote", "--from", "north/cases", "--within", "62", "--vault", "nothing-here", "--root-key", "file:none")
    assert "--server" not in here.stderr
    assert here.exit_code == 1
    loose = run("releases", "list", CASEHAVEN_TOKEN_FILE=None)
    assert (loose.exit_code, "CASEHAVEN_TOKEN_FILE" in loose.stderr) == (1, True)


def test_the_service_stays_up_after_all_this(house: House, researcher: Client) -> None:
    assert house.running.health() == {"store": "ok", "worker": "ok"}
    assert [found for found in researcher.jobs.list() if found.kind == "question.ask"]
    with pytest.raises(ConflictError):
        researcher.jobs.cancel(next(researcher.jobs.list()).id)
