"""What a token may never do, done by somebody who signs in: with the Python client, and on the command line with `--server` and `--sign-in`."""

from __future__ import annotations

import base64
import json
import pickle
import re
import secrets
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP
from sqlalchemy import func, select
from tests.service.api.conftest import Caller, _has_keys, take_in
from tests.service.api.test_client import token_of

from casehaven.cli import main
from casehaven.client import Client, ConflictError, NotAllowedError, NotThereError, SignInNeededError
from casehaven.ledger import RaiseApproval, RaiseRequest
from casehaven.organisations.roles import Role
from casehaven.signin.models import session
from casesynth.signing import SigningKey

if TYPE_CHECKING:
    from tests.service.api.conftest import House

WHY = "a report for the board"
HEAD = "caseReference,personToken,consentOwnStatistics,consentPooledStatistics,yearOfRegistration,gender"
TOKEN = (
    "principal.read",
    "dataset.list",
    "dataset.create",
    "dataset.status",
    "person.find",
    "budget.read",
    "budget.propose",
    "audit.verify",
    "job.read",
)


@dataclass(kw_only=True)
class Steward:
    """The first member of an organisation, with a password and an app."""

    caller: Caller
    origin: str
    password: str = field(repr=False)
    codes: list[str] = field(repr=False)
    token: str = field(repr=False)

    def client(self) -> Client:
        """Sign in with a code that was not used."""
        return Client.sign_in(self.origin, self.caller.handle, self.password, self.code())

    def code(self) -> str:
        """Return a recovery code; new ones where all were used."""
        if not self.codes:
            self.codes = self.caller.post("/v1/credentials/recovery-codes").json()["codes"]
        return self.codes.pop()

    def run(self, *words: str, sign_in: bool = False, more: str = "") -> Result:
        """Run the command line against the server."""
        environment = {"CASEHAVEN_SERVER": self.origin, "CASEHAVEN_TOKEN": self.token}
        signing = ("--sign-in", self.caller.handle) if sign_in else ()
        typed = f"{self.password}\n{self.code()}\n{more}" if sign_in else more
        return CliRunner().invoke(main, [*words, *signing], env=environment, input=typed, catch_exceptions=False)


@pytest.fixture(scope="session")
def west(house: House) -> Steward:
    """An organisation of these tests' own, with four people."""
    caller = house.running.organisation("west")
    house.running.wait(partial(_has_keys, house.running, "west"), 30)
    caller.done("/v1/organisations/west/datasets", {"name": "cases", "schema": "ctdc-global", "people_cap": 100})
    rows = [f"ref-{n},tok-{n},yes,yes,{2020 + n % 2},{('Woman', 'Man')[n % 2]}" for n in range(4)]
    take_in(caller, "cases", ("\n".join([HEAD, *rows]) + "\n").encode())
    house.running.member("west", "wilma", Role.RESEARCHER)
    password = "four-quiet-otters-cross-the-bridge-1987"
    assert caller.call("PUT", "/v1/credentials/password", body={"password": password}).status_code == 204
    uri = caller.post("/v1/credentials/app").json()["uri"]
    secret = base64.b32decode(parse_qs(urlsplit(uri).query)["secret"][0])
    now = TOTP(secret, 6, SHA1(), 30, enforce_key_length=False).generate(int(time.time())).decode()
    codes = caller.post("/v1/credentials/app/confirm", {"code": now}).json()["codes"]
    return Steward(
        caller=caller,
        origin=house.running.origin,
        password=password,
        codes=list(codes),
        token=token_of(caller, *TOKEN)[0],
    )


@pytest.fixture(scope="session")
def client(west: Steward) -> Iterator[Client]:
    """Somebody who signed in."""
    with west.client() as made:
        yield made


# --- the client ---


def test_a_session_does_what_a_token_is_refused_and_ends_with_the_client(house: House, west: Steward) -> None:
    with Client(west.origin, west.token) as machine:
        for refused in (
            lambda: machine.people.show("west/cases", "ref-0", reason=WHY),
            lambda: machine.statistics.tables("west/cases", reason=WHY),
        ):
            with pytest.raises(NotAllowedError):
                refused()
        assert machine.statistics.standing("west/cases").people >= 1

    def sessions() -> int:
        with house.running.store.reading() as connection:
            return int(connection.scalar(select(func.count()).select_from(session)) or 0)

    before = sessions()
    made = west.client()
    assert sessions() == before + 1
    assert made.people.show("west/cases", "tok-0", reason=WHY)["format"] == "casehaven-person/1"
    made.close()
    made.close()
    assert sessions() == before


def test_a_wrong_password_or_code_says_nothing_and_a_session_is_never_written(west: Steward) -> None:
    from casehaven.client.address import ServerAddress
    from casehaven.client.session import Session, begin_session

    said = set()
    for handle, code in ((west.caller.handle, "000000"), ("nobody-here", west.codes[0])):
        with pytest.raises(SignInNeededError) as refused:
            Client.sign_in(west.origin, handle, "not-the-password-of-anybody-77", code)
        said.add((refused.value.code, str(refused.value)))
    assert len(said) == 1
    address = ServerAddress.parse(west.origin)
    made = begin_session(address, west.caller.handle, west.password, west.code())
    assert repr(made) == "Session(…)"
    with pytest.raises(TypeError):
        pickle.dumps(made)
    assert isinstance(made, Session)


def test_a_person_is_shown_corrected_exported_and_erased_with_a_receipt_that_comes_again(client: Client) -> None:
    who = ("west/cases", "tok-1")
    shown = client.people.show(*who, reason=WHY)
    assert shown["dataset"] == "west/cases" and len(shown["records"]) == 1
    corrected = client.people.correct(*who, {"gender": "Woman"}, reason=WHY)
    cells = {cell["attribute"]: cell["value"] for cell in corrected["records"][0]["cells"]}
    assert cells["gender"] == "Woman" and corrected["records"][0]["replaced"]
    assert "tok-1" in client.people.export(*who, reason=WHY, kind="csv")
    until = datetime.now(UTC).date() + timedelta(days=30)
    client.people.keep_until(*who, until, reason=WHY)
    assert client.people.show(*who, reason=WHY)["kept_until"] == until.isoformat()
    assert client.people.due("west/cases", reason=WHY).items == ()
    assert client.people.erase_due("west/cases", reason=WHY) == ()
    assert client.people.duplicates("west/cases", reason=WHY).items == ()
    receipt = client.people.erase(*who, reason=WHY)
    assert json.loads(json.loads(receipt.signed)["receipt"])["number"] == receipt.number
    assert client.people.receipt("west/cases", receipt.number, reason=WHY) == receipt
    for gone in (
        lambda: client.people.show(*who, reason=WHY),
        lambda: client.people.erase(*who, reason=WHY),
        lambda: client.people.receipt("west/cases", "77", reason=WHY),
    ):
        with pytest.raises(NotThereError):
            gone()


def test_tables_budgets_and_the_log_are_read_as_they_are_told(client: Client) -> None:
    found = client.statistics.tables("west/cases", reason=WHY)
    assert found.mark == "NOT FOR RELEASE" and found.document["people"] >= 1 and found.content == b""
    assert b"NOT FOR RELEASE" in client.statistics.tables("west/cases", reason=WHY, kind="html").content
    assert client.statistics.intakes("west/cases")[-1].version == 1
    ledger = client.budgets.ledger("west")
    assert {account.dataset for account in ledger.accounts} == {"west/cases"}
    assert all(account.spent_parts == 0 and account.months == () for account in ledger.accounts)
    client.budgets.allow("wilma", "west/cases", 5_000_000)
    with pytest.raises(NotThereError):
        client.budgets.allow("wilma", "north/cases", 5_000_000)
    made = client.budgets.ask_raise("west/cases", epsilon="3", reason="a second year")
    assert made.id in {each.id for each in client.budgets.raises("west")}
    approval = RaiseApproval.by(RaiseRequest.parse(dict(made.request), "it"), SigningKey.create())
    with pytest.raises(ConflictError) as refused:
        client.budgets.hand_in("west", made.id, approval.to_bytes())
    assert refused.value.code == "budget-raise"
    assert client.audit.verify().whole
    entries = client.audit.report("west", reason=WHY)["entries"]
    assert {"statistics.tables", "person.read"} <= {entry["action"] for entry in entries}


def test_the_guides_lines_for_signing_in_run(west: Steward) -> None:
    guide = Path(__file__).resolve().parents[3] / "docs" / "guides" / "client.md"
    (block,) = re.findall(r"^```python\n([^`]*sign_in.*?)^```$", guide.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert "reason" in block
    rows = [f"guide-{n},guide-{n},yes,yes,2021,Woman" for n in (1, 2)]
    take_in(west.caller, "cases", ("\n".join([HEAD, *rows]) + "\n").encode())
    for here, there in (("north/cases", "west/cases"), ("N-000", "guide-"), ('"ana"', "handle")):
        block = block.replace(here, there)
    names: dict[str, Any] = {
        "server": west.origin,
        "handle": west.caller.handle,
        "password": west.password,
        "code": west.code(),
    }
    exec(compile(block, "guide", "exec"), names)  # noqa: S102 - our own document, to show that it runs
    assert names["receipt"].number.isdigit()


# --- the command line ---


def test_the_command_line_signs_in_for_one_command(west: Steward, tmp_path: Path) -> None:
    shown = west.run("person", "show", "tok-2", "--dataset", "west/cases", "--reason", WHY, sign_in=True)
    assert shown.exit_code == 0, shown.output
    assert "record 1 of 1" in shown.stdout and "consent   care: not asked, so no" in shown.stdout
    assert west.password not in shown.output
    refused = west.run("person", "show", "tok-2", "--dataset", "west/cases", "--reason", WHY)
    assert refused.exit_code == 1 and "--sign-in" in refused.stderr, refused.output
    book = tmp_path / "report.xlsx"
    made = west.run("tables", "--reason", WHY, "-o", str(book), "--dataset", "west/cases", sign_in=True)
    assert made.exit_code == 0, made.output
    with zipfile.ZipFile(book) as inside:
        assert b"NOT FOR RELEASE" in inside.read("xl/sharedStrings.xml")
    screen = west.run("tables", "--reason", WHY, "--dataset", "west/cases", "--year", "2020", sign_in=True)
    assert screen.exit_code == 0 and screen.stdout.startswith("NOT FOR RELEASE"), screen.output
    assert "registered in 2020" in screen.stdout


def test_the_command_line_erases_with_a_receipt_and_only_when_it_is_meant(west: Steward, tmp_path: Path) -> None:
    place = tmp_path / "receipt.json"
    who = ("person", "erase", "tok-3", "--dataset", "west/cases", "--reason", WHY, "--receipt", str(place))
    stopped = west.run(*who, sign_in=True, more="no\n")
    assert stopped.exit_code == 1 and not place.exists(), stopped.output
    done = west.run(*who, sign_in=True, more="ERASE\n")
    assert done.exit_code == 0 and "wrote the receipt" in done.stdout, done.output
    assert set(json.loads(place.read_text())) == {"receipt", "signature", "public_key"}


def test_what_needs_no_second_factor_takes_the_token(west: Steward, tmp_path: Path) -> None:
    listed = west.run("dataset", "list")
    assert "west/cases  ctdc-global" in listed.stdout, listed.output
    name = f"west/{secrets.token_hex(4)}"
    made = west.run("dataset", "create", name, "--schema", "ctdc-global", "--people-cap", "50")
    assert made.exit_code == 0, made.output
    again = west.run("dataset", "create", name, "--schema", "ctdc-global", "--people-cap", "50")
    assert again.exit_code == 1
    told = west.run("dataset", "status", "--dataset", "west/cases", "--json")
    assert json.loads(told.stdout)["people_cap"] == 100, told.output
    spoken = west.run("dataset", "status", "--dataset", "west/cases")
    assert "own statistics" in spoken.stdout and "for your organisation alone" in spoken.stdout
    ledger = west.run("ledger", "show")
    assert "account    west/cases" in ledger.stdout and "0/16" in ledger.stdout, ledger.output
    assert json.loads(west.run("ledger", "show", "--json").stdout)["format"] == "casehaven-own-ledger/1"
    request = tmp_path / "raise.json"
    asked = west.run(
        "budget", "request-raise", "--dataset", "west/cases", "--epsilon", "4", "--reason", WHY, "-o", str(request)
    )
    assert asked.exit_code == 0, asked.output
    assert RaiseRequest.read(request).epsilon == "4"
    whole = west.run("audit", "verify")
    assert whole.stdout.startswith("the audit log is whole"), whole.output
    key = west.run("audit", "checkpoint", "--key")
    assert key.exit_code == 0 and key.stdout.count("+") >= 2, key.output
    refused = west.run("audit", "report", "--reason", WHY)
    assert refused.exit_code == 1 and "--sign-in" in refused.stderr


def test_a_contradiction_is_told_before_anything_is_typed(west: Steward) -> None:
    here = CliRunner().invoke(main, ["tables", "--sign-in", "ana", "--reason", WHY], env={"CASEHAVEN_SERVER": None})
    assert here.exit_code == 2 and "--sign-in is for a server" in here.stderr
    both = west.run("person", "show", "x", "--reason", WHY, "--vault", "v", "--server", west.origin)
    assert both.exit_code == 2


@pytest.mark.parametrize(
    "words",
    [
        ("person", "retention", "--due", "--dataset", "west/cases", "--reason", WHY),
        ("person", "duplicates", "--dataset", "west/cases", "--reason", WHY),
        ("budget", "allowance", "wilma", "west/cases", "--rho", "0.004"),
        ("audit", "report", "--reason", WHY),
    ],
    ids=lambda words: " ".join(words[:2]),
)
def test_other_verbs_that_need_a_second_factor_work_signed_in(west: Steward, words: tuple[str, ...]) -> None:
    done = west.run(*words, sign_in=True)
    assert done.exit_code == 0, done.output
    assert done.stdout.strip()
