"""Asking under an agreement with the client and on the command line: quoted, asked, listed and shown again, and not there for anybody whom it does not let ask."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result
from tests.service.api.conftest import _has_keys

from casehaven.cli import main
from casehaven.client import BadRequestError, Client, NotAllowedError, NotThereError, new_key
from casehaven.core.projection import published
from casehaven.organisations.roles import Kind, Role
from casehaven.web.asked_again import python_lines

if TYPE_CHECKING:
    from pathlib import Path

    from tests.service.api.conftest import Caller, RunningService

NAMES = ("brook", "creek")
"""Contributors: two organisations with datasets that hold nobody."""
ASKS = ("question.quote", "question.ask", "answer.list", "job.read", "job.cancel")
QUESTION: dict[str, Any] = {"by": ["gender"], "within": 45}


@dataclass(frozen=True, kw_only=True)
class Pact:
    """An agreement in force, whoever may ask under it, and a researcher whom it does not name."""

    agreement: str
    asker: Caller
    colleague: Caller
    stranger: Caller
    steward: Caller
    tokens: Path
    """Folder of a token's file for each of them."""

    def token(self, who: Caller) -> str:
        """A token of a member for asking; kept in a file as well."""
        made = who.post("/v1/tokens", {"name": "tests", "operations": ASKS, "days": 1})
        assert made.status_code == 201, made.text
        value = str(made.json()["value"])
        path = self.tokens / who.handle
        path.write_text(value, encoding="ascii")
        path.chmod(0o600)
        return value


@pytest.fixture(scope="session")
def pact(running_service: RunningService, tmp_path_factory: pytest.TempPathFactory) -> Pact:
    running = running_service
    stewards = {name: running.organisation(name) for name in NAMES}
    for name, steward in stewards.items():
        running.wait(partial(_has_keys, running, name), 60)
        body = {"name": "cases", "schema": "ctdc-global", "people_cap": 1_000}
        steward.done(f"/v1/organisations/{name}/datasets", body)
    for name in ("mill", "quarry"):
        running.organisation(name, Kind.RESEARCH)
    with running.store.reading() as connection:
        schema = published(connection, "dataset", "brook/cases")["schema_sha256"]
    terms = {
        "title": "Along the water",
        "schema_sha256": schema,
        "contributions": [{"dataset": f"{name}/cases", "fields": {"gender": "as_is"}} for name in NAMES],
        "readers": ["mill"],
        "askers": {"organisations": ["mill"], "members": []},
        "purposes": ["pooled_statistics"],
        "budget_nano_rho": 10**8,
        "people_cap": 2_000,
        "minimum_count": 11,
        "max_tokens_per_person": 2,
        "tokens_reason": None,
        "linkage": None,
        "expires": "2099-12-31",
    }
    made = stewards["brook"].post("/v1/agreements", {"terms": terms})
    assert made.status_code == 201, made.text
    agreement = made.json()["document"]["agreement"]
    for steward in stewards.values():
        steward.done(f"/v1/agreements/{agreement}/signatures", {"digest": made.json()["digest"]})
    return Pact(
        agreement=agreement,
        asker=running.member("mill", "mill-mia", Role.RESEARCHER),
        colleague=running.member("mill", "mill-milo", Role.RESEARCHER),
        stranger=running.member("quarry", "quarry-quin", Role.RESEARCHER),
        steward=stewards["creek"],
        tokens=tmp_path_factory.mktemp("tokens"),
    )


@pytest.fixture(scope="session")
def client(pact: Pact) -> Iterator[Client]:
    with Client(pact.asker.origin, pact.token(pact.asker)) as client:
        yield client


@pytest.fixture
def run(pact: Pact, client: Client, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Run the command line as the asker."""
    monkeypatch.setenv("CASEHAVEN_SERVER", client.server)
    monkeypatch.setenv("CASEHAVEN_TOKEN_FILE", str(pact.tokens / pact.asker.handle))
    return lambda *words: CliRunner().invoke(main, [str(word) for word in words])


def test_a_researcher_asks_under_an_agreement_and_a_colleague_finds_the_answer(pact: Pact, client: Client) -> None:
    (terms,) = client.agreements.list()
    assert (terms.id, terms.title, terms.minimum_count) == (pact.agreement, "Along the water", 11)
    assert terms.fields == {"gender": ("as_is",)}
    quote, key = client.queries.quote(agreement=pact.agreement, **QUESTION), new_key()
    answer = client.queries.ask(agreement=pact.agreement, key=key, **QUESTION)
    assert answer.charged_nano_rho == quote.nano_rho > 0
    again = client.queries.ask(agreement=pact.agreement, key=key, **QUESTION)
    assert again.to_bytes() == answer.to_bytes()
    assert answer.to_bytes() in [one.to_bytes() for one in client.answers.list(agreement=pact.agreement)]
    with Client(client.server, pact.token(pact.colleague)) as other:
        every = other.answers.list(agreement=pact.agreement, every_day=True)
        assert answer.to_bytes() in [one.to_bytes() for one in every]
    assert not [name for name in NAMES if name in repr((terms, quote.document, [one.document for one in every]))]


def test_the_lines_that_a_page_shows_repeat_an_answer_at_no_charge(
    pact: Pact, client: Client, run: Callable[..., Result]
) -> None:
    asked = {**QUESTION, "within": 46}
    answer = client.queries.ask(agreement=pact.agreement, **asked)
    names: dict[str, Any] = {}
    document = {"format": "casehaven-question/1", "by": ["gender"], "accuracy": {"within_people": 46}}
    exec(compile(python_lines(answer.document, document), "page", "exec"), names)  # noqa: S102 - our own lines
    names["client"].close()
    assert names["answer"].document == answer.document
    assert (names["answer"].charged_nano_rho, names["answer"].free) == (None, "stored")


def test_the_command_line_asks_under_an_agreement_with_the_same_verbs(
    pact: Pact, client: Client, run: Callable[..., Result]
) -> None:
    words = ["--agreement", pact.agreement, "--by", "gender", "--within", "47"]
    quoted = run("quote", *words, "--json")
    assert quoted.exit_code == 0, quoted.output
    assert json.loads(quoted.stdout)["format"] == "casehaven-quote/1"
    asked = run("ask", *words, "--json")
    assert asked.exit_code == 0, asked.output
    found = run("answers", "--agreement", pact.agreement, "--json")
    assert json.loads(asked.stdout) in json.loads(found.stdout)
    day = json.loads(asked.stdout)["snapshot"]["day"]
    later = run("ask", *words, "--as-of", day)
    assert later.exit_code == 0 and "charge     none" in later.stdout


@pytest.mark.parametrize("verb", ["quote", "ask", "answers"])
def test_an_agreement_stands_in_the_place_of_datasets_and_needs_a_server(
    pact: Pact, run: Callable[..., Result], monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    question = [] if verb == "answers" else ["--by", "gender", "--within", "48"]
    both = run(verb, "--agreement", pact.agreement, "--from", "brook/cases", *question)
    assert both.exit_code == 2 and "names its datasets itself" in both.output
    monkeypatch.delenv("CASEHAVEN_SERVER")
    here = run(verb, "--agreement", pact.agreement, *question)
    assert here.exit_code == 2 and "at a server" in here.output


def test_to_whom_it_is_not_open_an_agreement_is_not_there(pact: Pact) -> None:
    answers = [
        who.get(f"/v1/answers?agreement={name}")
        for who in (pact.stranger, pact.steward)
        for name in (pact.agreement, "0" * 32)
    ]
    assert [answer.status_code for answer in answers] == [404] * 4
    assert len({answer.content for answer in answers}) == 1
    for name in ("", "x", "0" * 33):
        assert pact.asker.get(f"/v1/answers?agreement={name}").status_code == 422
    assert pact.asker.get("/v1/answers").status_code == 422
    with Client(pact.stranger.origin, pact.token(pact.stranger)) as stranger:
        assert stranger.agreements.list() == ()
        with pytest.raises(NotThereError):
            stranger.answers.list(agreement=pact.agreement)
        for ask in (stranger.queries.quote, stranger.queries.ask):
            with pytest.raises(NotAllowedError):
                ask(agreement=pact.agreement, **QUESTION)
        with pytest.raises(BadRequestError):
            stranger.answers.list(agreement="brook/cases")


def test_a_question_names_datasets_or_an_agreement(pact: Pact, client: Client) -> None:
    asked: tuple[dict[str, Any], ...] = (
        {},
        {"datasets": "brook/cases", "agreement": pact.agreement},
        {"agreement": pact.agreement, "person_tokens": "shared"},
    )
    for wrong in asked:
        with pytest.raises(TypeError):
            client.queries.quote(**wrong, **QUESTION)
    listed: tuple[dict[str, Any], ...] = ({}, {"dataset": "brook/cases", "agreement": pact.agreement})
    for wrong in listed:
        with pytest.raises(TypeError):
            client.answers.list(**wrong)
