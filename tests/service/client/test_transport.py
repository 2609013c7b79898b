"""What the client sends again and what not, how long it waits, what it believes of an answer, and where the token never is."""

from __future__ import annotations

import json
import logging
import pickle
import traceback
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from casehaven.client import (
    BadRequestError,
    BudgetRefusedError,
    Client,
    ClientError,
    ConflictError,
    JobStoppedError,
    NotAllowedError,
    NotThereError,
    Patience,
    RefusedError,
    ResultReadError,
    ServerAddressError,
    ServiceFailedError,
    SignInNeededError,
    StillRunningError,
    Token,
    TokenError,
    TooManyRequestsError,
    UnexpectedAnswerError,
    UnreachableError,
)
from casehaven.client.transport import JSON_MOST, retry_after
from casehaven.errors import outcome_of, outcomes

SECRET = "chv_" + "Sx7-" * 10 + "end"
JOB = "0" * 31 + "1"

Answer = httpx.Response | Exception


class Wire(httpx.BaseTransport):
    """A network that answers what it was told, in order, and remembers what it was asked."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []
        self.bodies: list[bytes] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        self.bodies.append(request.read())
        found = self.answers.pop(0)
        if isinstance(found, Exception):
            raise found
        return httpx.Response(found.status_code, headers=found.headers, stream=found.stream)


def problem(status: int, code: str, **more: Any) -> httpx.Response:
    headers = {"Retry-After": str(more.pop("after"))} if "after" in more else {}
    body = {"status": status, "code": code, "title": f"title of {code}", "advice": "do so", **more}
    return httpx.Response(status, json=body, headers=headers)


def done(result: Any, **more: Any) -> httpx.Response:
    document = {"id": JOB, "kind": "k", "state": "done", "phase": "ended", "progress": None, "result": result}
    return httpx.Response(200, json={**document, **more})


EMPTY = httpx.Response(200, json={"items": [], "next": None})


def client_of(*answers: Answer, attempts: int = 4) -> tuple[Client, Wire, list[float]]:
    wire, slept = Wire(*answers), list[float]()
    patience = Patience(attempts=attempts, sleep=slept.append)
    return Client("https://cases.example.org", SECRET, patience=patience, wire=wire), wire, slept


# --- what is sent again ---


@pytest.mark.parametrize(
    "fault",
    [
        httpx.ConnectError("refused"),
        httpx.ReadTimeout("slow"),
        httpx.RemoteProtocolError("cut"),
        httpx.Response(502, text="<html>proxy</html>"),
        httpx.Response(504),
        httpx.Response(503, text="busy"),
        problem(503, "starting", after=2),
        problem(429, "rate-limited", after=3),
    ],
    ids=lambda fault: type(fault).__name__ if isinstance(fault, Exception) else str(fault.status_code),
)
def test_what_only_reads_is_sent_again(fault: Answer) -> None:
    client, wire, slept = client_of(fault, EMPTY)
    assert client.datasets.list() == ()
    assert len(wire.requests) == 2
    assert len(slept) == 1


def test_what_has_a_key_is_sent_again_under_that_key_with_the_same_body() -> None:
    answer = done({"answer": None})
    client, wire, _ = client_of(httpx.ReadError("cut"), httpx.ConnectError("cut"), answer)
    with pytest.raises(UnexpectedAnswerError):  # there is no answer in it; the point is how it was asked
        client.queries.ask("north/cases", by=["gender"], within=30)
    keys = {request.headers["Idempotency-Key"] for request in wire.requests}
    assert (len(wire.requests), len(keys), len(set(wire.bodies))) == (3, 1, 1)


def test_what_has_no_key_and_may_do_something_twice_is_sent_once() -> None:
    for fault in (httpx.ReadError("cut"), problem(503, "starting", after=1), problem(429, "rate-limited", after=1)):
        client, wire, slept = client_of(fault)
        with pytest.raises(ClientError):
            client.people.consent("north/cases", "r", purpose="care", given=False, reason="w")
        assert (len(wire.requests), slept) == (1, [])


def test_what_ended_a_job_is_never_sent_again() -> None:
    client, wire, _ = client_of(problem(503, "job-interrupted", job=JOB, after=1))
    with pytest.raises(ServiceFailedError) as refused:
        client.queries.ask("north/cases", by=["gender"], within=30)
    assert (len(wire.requests), refused.value.job_id) == (1, JOB)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 410, 422, 500])
def test_a_refusal_is_not_sent_again(status: int) -> None:
    client, wire, _ = client_of(problem(status, "some-code", after=1))
    with pytest.raises(RefusedError):
        client.datasets.list()
    assert len(wire.requests) == 1


def test_attempts_end_and_each_pause_is_longer_until_the_last_fault_is_told() -> None:
    client, wire, slept = client_of(*[httpx.ConnectError("down")] * 4)
    with pytest.raises(UnreachableError, match="cannot be reached"):
        client.datasets.list()
    assert len(wire.requests) == 4
    assert len(slept) == 3
    for number, pause in enumerate(slept):
        assert 0.2 * 2**number <= pause <= 0.4 * 2**number


def test_retry_after_decides_the_pause_and_one_that_is_too_long_is_handed_on() -> None:
    client, _, slept = client_of(problem(429, "rate-limited", after=7), EMPTY)
    client.datasets.list()
    assert slept == [7.0]
    client, wire, slept = client_of(problem(429, "rate-limited", after=4000))
    with pytest.raises(TooManyRequestsError) as refused:
        client.datasets.list()
    assert (len(wire.requests), slept, refused.value.retry_after_seconds) == (1, [], 4000)


def test_retry_after_is_read_as_a_number_or_as_a_date_and_never_as_something_else() -> None:
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    assert 25 <= (retry_after(soon) or 0) <= 32
    assert retry_after(format_datetime(datetime.now(UTC) - timedelta(days=1), usegmt=True)) == 0
    assert retry_after("9" * 30) == 86_400
    assert [retry_after(text) for text in (None, "", "-1", "1.5", "١٢", "soon", "9" * 100)] == [None] * 7


# --- families of problems ---


@pytest.mark.parametrize(
    ("status", "code", "family"),
    [
        (401, "not-signed-in", SignInNeededError),
        (403, "forbidden", NotAllowedError),
        (404, "not-found", NotThereError),
        (410, "result-gone", NotThereError),
        (409, "idempotency-key-reused", ConflictError),
        (409, "budget-exhausted", BudgetRefusedError),
        (403, "allowance-exhausted", BudgetRefusedError),
        (422, "question", BadRequestError),
        (429, "rate-limited", TooManyRequestsError),
        (500, "internal", ServiceFailedError),
        (418, "teapot", BadRequestError),
    ],
)
def test_a_problem_is_an_error_of_its_family(status: int, code: str, family: type[RefusedError]) -> None:
    client, _, _ = client_of(problem(status, code, detail="the detail"), attempts=1)
    with pytest.raises(RefusedError) as refused:
        client.datasets.list()
    assert type(refused.value) is family
    assert (refused.value.status, refused.value.code, str(refused.value)) == (status, code, "the detail")


def test_a_problem_ends_with_the_exit_code_that_the_same_error_has_here() -> None:
    known = {row.code: row.exit_code for row in outcomes().values() if row.code is not None}
    assert known["budget-exhausted"] == 3
    for code, exit_code in known.items():
        client, _, _ = client_of(problem(409, code), attempts=1)
        with pytest.raises(RefusedError) as refused:
            client.datasets.list()
        found = outcome_of(refused.value)
        assert found is not None
        assert found.exit_code == exit_code, code


def test_what_is_no_problem_is_still_a_refusal_and_its_words_are_not_shown() -> None:
    page = httpx.Response(400, text="<html>\x1b[2J secret words of a proxy</html>")
    client, _, _ = client_of(page)
    with pytest.raises(BadRequestError) as refused:
        client.datasets.list()
    assert str(refused.value) == "the server refused with status 400"
    assert refused.value.code == "unknown"


def test_words_of_a_problem_are_one_line_and_its_code_is_a_name() -> None:
    client, _, _ = client_of(problem(404, "a\x1b[2Jb", detail="x\r\n\x9by" + "z" * 5_000), attempts=1)
    with pytest.raises(NotThereError) as refused:
        client.datasets.list()
    assert refused.value.code == "unknown"
    assert refused.value.title == "title of a\ufffd[2Jb"
    assert str(refused.value).startswith("x\ufffd\ufffd\ufffdyzz")
    assert len(str(refused.value)) == 1_000


# --- what is believed of an answer ---


def deep(levels: int) -> bytes:
    return b'{"items":' + b"[" * levels + b"]" * levels + b',"next":null}'


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(200, content=b'{"items": [], "next": null}' + b" " * JSON_MOST),
        httpx.Response(200, content=b"<html>"),
        httpx.Response(200, content=b"[]"),
        httpx.Response(200, content=b'{"items": [], "items": [], "next": null}'),
        httpx.Response(200, content=b'{"items": [{"people_cap": 1e999}], "next": null}'),
        httpx.Response(200, content=deep(200_000)),
        httpx.Response(200, content=b'{"items": [7], "next": null}'),
        httpx.Response(200, content=b'{"items": {}, "next": null}'),
        httpx.Response(200, json={"items": [{"organisation": "n", "name": 3}], "next": None}),
        httpx.Response(200, content=b'{"items": [], "next": null}', headers={"Content-Encoding": "x-none"}),
        httpx.Response(302, headers={"Location": "https://evil.example.org/v1/datasets"}),
        httpx.Response(307, headers={"Location": "/elsewhere"}),
        httpx.Response(304),
    ],
    ids=range(13),
)
def test_an_answer_that_the_service_never_gives_is_refused_after_one_request(answer: httpx.Response) -> None:
    client, wire, _ = client_of(answer)
    with pytest.raises(UnexpectedAnswerError):
        client.datasets.list()
    assert [request.url.host for request in wire.requests] == ["cases.example.org"]


def test_a_list_that_never_ends_is_refused() -> None:
    same = [httpx.Response(200, json={"items": [], "next": "again"}) for _ in range(3)]
    client, wire, _ = client_of(*same)
    with pytest.raises(UnexpectedAnswerError, match="never ends"):
        client.datasets.list()
    assert len(wire.requests) == 2


def test_an_id_of_the_server_that_would_lead_elsewhere_is_not_followed() -> None:
    running = {"kind": "k", "state": "running", "phase": "running", "progress": None}
    for name in ("../../v1/tokens", "a" * 33, "0" * 31 + "G", 7, None):
        client, wire, _ = client_of(httpx.Response(202, json={**running, "id": name}))
        with pytest.raises(UnexpectedAnswerError):
            client.queries.quote("north/cases", by=["gender"], within=30)
        assert len(wire.requests) == 1


# --- jobs ---


def test_waiting_ends_with_the_job_or_says_that_it_goes_on() -> None:
    running = {"id": JOB, "kind": "k", "state": "running", "phase": "running", "progress": {"done": 1, "total": 4}}
    client, wire, _ = client_of(*[httpx.Response(202, json=running) for _ in range(3)], done({"found": True}))
    seen: list[float | None] = []
    job = client.jobs.ask("POST", "/v1/x", progress=lambda found: seen.append(found.share))
    assert job.result == {"found": True}
    assert seen == [0.25, 0.25, 0.25, None]
    assert [request.method for request in wire.requests] == ["POST", "GET", "GET", "GET"]
    client, _, _ = client_of(*[httpx.Response(202, json=running) for _ in range(2)])
    with pytest.raises(StillRunningError) as still:
        client.jobs.ask("POST", "/v1/x", seconds=0.0)
    assert still.value.job_id == JOB


def test_a_job_that_was_cancelled_failed_or_read_before_says_so() -> None:
    stopped, _, _ = client_of(done(None, state="cancelled"))
    with pytest.raises(JobStoppedError):
        stopped.jobs.wait(JOB)
    failed, _, _ = client_of(
        done(None, state="failed", problem={"status": 409, "code": "budget-exhausted", "title": "t"})
    )
    with pytest.raises(BudgetRefusedError) as refused:
        failed.jobs.wait(JOB)
    assert refused.value.job_id == JOB
    read, _, _ = client_of(done(None, private=True))
    with pytest.raises(ResultReadError):
        read.jobs.wait(JOB)


# --- the token ---


def test_the_token_goes_into_one_header_and_nowhere_else(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    faults: list[BaseException] = []
    outcomes_: list[Answer] = [httpx.ConnectError(f"with {SECRET}"), problem(401, "not-signed-in"), EMPTY]
    outcomes_.append(httpx.Response(302, headers={"Location": "https://evil.example.org"}))
    for answer in outcomes_:
        client, wire, _ = client_of(answer, attempts=1)
        try:
            client.datasets.list()
        except ClientError as error:
            faults.append(error)
        assert wire.requests[0].headers["Authorization"] == f"Bearer {SECRET}"
        assert SECRET not in repr(client) + repr(vars(client)) + str(wire.requests[0].url)
    assert len(faults) == 3
    shown = "".join("".join(traceback.format_exception(fault)) + repr(fault) + repr(vars(fault)) for fault in faults)
    assert SECRET not in shown + caplog.text + "".join(capsys.readouterr())
    token = Token(SECRET)
    assert SECRET not in repr(token) + str(token) + f"{token!s}"
    with pytest.raises(TypeError):
        pickle.dumps(token)


@pytest.mark.parametrize(
    "address",
    [
        "http://cases.example.org",
        "http://127.0.0.1.example.org",
        "http://localhost@evil.example.org",
        "https://user:word@cases.example.org",
        "https://cases.example.org/v1",
        "https://cases.example.org?x=1",
        "https://cases.example.org#x",
        "ftp://cases.example.org",
        "cases.example.org",
        "https://",
        "https://ca ses.example.org",
        "https://cases.example.org:99999",
        "https://ex\u00e4mple.org",
        "",
    ],
)
def test_a_token_is_sent_over_tls_or_to_this_computer_alone(address: str) -> None:
    with pytest.raises(ServerAddressError):
        Client(address, SECRET)


def test_over_http_no_proxy_of_the_environment_sees_the_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.example.org:3128")
    monkeypatch.setenv("ALL_PROXY", "http://proxy.example.org:3128")
    with Client("http://localhost:1", SECRET, patience=Patience(attempts=1)) as client:
        assert not [key for key in client._transport._http._mounts if client._transport._http._mounts[key] is not None]
        with pytest.raises(UnreachableError, match="localhost:1"):
            client.datasets.list()


def test_the_token_comes_from_the_environment_in_one_way(tmp_path: Path) -> None:
    place = tmp_path / "token"
    place.write_text(SECRET + "\n", encoding="ascii")
    place.chmod(0o600)
    server = {"CASEHAVEN_SERVER": "https://cases.example.org"}
    for named in ({"CASEHAVEN_TOKEN": SECRET}, {"CASEHAVEN_TOKEN_FILE": str(place)}):
        assert Client.from_env({**server, **named}).server == "https://cases.example.org"
    place.chmod(0o640)
    bad: list[tuple[dict[str, str], str]] = [
        ({"CASEHAVEN_TOKEN_FILE": str(place)}, "read by others"),
        ({"CASEHAVEN_TOKEN_FILE": str(tmp_path / "none")}, "cannot be read"),
        ({"CASEHAVEN_TOKEN_FILE": str(tmp_path)}, "cannot be read"),
        ({"CASEHAVEN_TOKEN": "chv_short"}, "43 letters"),
        ({"CASEHAVEN_TOKEN": SECRET, "CASEHAVEN_TOKEN_FILE": str(place)}, "both set"),
        ({}, "no token"),
    ]
    for named, words in bad:
        with pytest.raises(TokenError, match=words) as refused:
            Client.from_env({**server, **named})
        assert "short" not in str(refused.value)
    with pytest.raises(ServerAddressError):
        Client.from_env({"CASEHAVEN_TOKEN": SECRET})


def test_one_question_in_two_spellings_is_one_request() -> None:
    bodies = set()
    ask: list[Callable[[Client], Any]] = [
        lambda client: client.queries.quote("north/cases", by=["gender"], within=30),
        lambda client: client.queries.quote(["north/cases"], {"by": ["gender"], "accuracy": {"within_people": 30.0}}),
    ]
    for one in ask:
        client, wire, _ = client_of(problem(404, "not-found"))
        with pytest.raises(NotThereError):
            one(client)
        bodies.add(json.dumps(json.loads(wire.bodies[0]), sort_keys=True))
    assert len(bodies) == 1
