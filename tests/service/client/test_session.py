"""Signing in at a server that may be hostile: what is sent where, what is taken, and that nothing of it is shown or kept."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from click.testing import CliRunner

from casehaven.cli import main
from casehaven.cli._person_server import person_lines
from casehaven.cli._tables_server import read_tables
from casehaven.client import Client, SignInNeededError, TooManyRequestsError, UnexpectedAnswerError, UnreachableError
from casehaven.client.people import _signed

SERVER = "https://cases.example.org"
VALUE, PAGE = "v" * 43, "p" * 43
COOKIE = f"__Host-casehaven-session={VALUE}; HttpOnly; Secure; SameSite=strict; Path=/"
SAID = {"handle": "ana", "organisation": "north", "page_value": PAGE}


class Wire(httpx.BaseTransport):
    """Answers sign-in as it is told, and keeps what was sent."""

    def __init__(self, answer: httpx.Response) -> None:
        self.answer = answer
        self.sent: list[httpx.Request] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.read()
        self.sent.append(request)
        if request.url.path == "/v1/session" and request.method == "POST":
            return _fresh(self.answer)
        return _fresh(httpx.Response(200, json={"items": [], "next": None}))


def _fresh(answer: httpx.Response) -> httpx.Response:
    """The answer with a body that was not read yet, as the network has it."""
    return httpx.Response(answer.status_code, headers=answer.headers, stream=httpx.ByteStream(answer.content))


def good(**changes: Any) -> httpx.Response:
    return httpx.Response(201, json={**SAID, **changes}, headers={"set-cookie": COOKIE})


def sign_in(answer: httpx.Response) -> tuple[Client, Wire]:
    wire = Wire(answer)
    return Client.sign_in(SERVER, "ana", "a password", "123456", wire=wire), wire


def test_a_session_signs_requests_as_a_page_of_the_service_and_ends_with_the_client() -> None:
    client, wire = sign_in(good())
    with client:
        assert client.datasets.list() == ()
    first, asked, ended = wire.sent
    assert json.loads(first.content) == {"handle": "ana", "password": "a password", "code": "123456"}
    assert first.headers["origin"] == SERVER and "cookie" not in first.headers
    for request in (asked, ended):
        assert request.headers["cookie"] == f"__Host-casehaven-session={VALUE}"
        assert request.headers["x-casehaven-page"] == PAGE and request.headers["origin"] == SERVER
        assert b"a password" not in request.content and "authorization" not in request.headers
    assert (ended.method, ended.url.path) == ("DELETE", "/v1/session")
    for text in (repr(client), repr(vars(client))):
        assert VALUE not in text and PAGE not in text and "a password" not in text


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (httpx.Response(401, json={"code": "wrong-credentials", "title": "no"}), SignInNeededError),
        (httpx.Response(429, json={"code": "too-many-guesses", "title": "wait"}), TooManyRequestsError),
        (httpx.Response(307, headers={"location": "https://elsewhere.example/"}), UnexpectedAnswerError),
        (httpx.Response(201, json=SAID), UnexpectedAnswerError),
        (httpx.Response(200, json=SAID, headers={"set-cookie": COOKIE}), UnexpectedAnswerError),
        (httpx.Response(201, content=b"[", headers={"set-cookie": COOKIE}), UnexpectedAnswerError),
        (httpx.Response(201, content=b'{"page_value":1}', headers={"set-cookie": COOKIE}), UnexpectedAnswerError),
        (httpx.Response(201, content=b" " * 70_000, headers={"set-cookie": COOKIE}), UnexpectedAnswerError),
        (good(page_value="p\r\nX-Evil: 1"), UnexpectedAnswerError),
        (
            httpx.Response(201, json=SAID, headers={"set-cookie": "__Host-casehaven-session=x y; Secure"}),
            UnexpectedAnswerError,
        ),
        (
            httpx.Response(201, json=SAID, headers=[("set-cookie", COOKIE), ("set-cookie", COOKIE)]),
            UnexpectedAnswerError,
        ),
    ],
)
def test_anything_but_one_session_is_refused(answer: httpx.Response, error: type[Exception]) -> None:
    with pytest.raises(error) as refused:
        sign_in(answer)
    assert "a password" not in str(refused.value) + repr(vars(refused.value))


def test_a_server_that_is_not_there_is_named() -> None:
    class Gone(httpx.BaseTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            raise httpx.ConnectError("no")

    with pytest.raises(UnreachableError, match=SERVER):
        Client.sign_in(SERVER, "ana", "a password", "123456", wire=Gone())


def test_a_password_goes_over_tls_or_stays_here() -> None:
    ended = CliRunner().invoke(
        main,
        ["person", "show", "x", "--reason", "why so", "--server", "http://cases.example.org", "--sign-in", "ana"],
        input="a password\n123456\n",
    )
    assert ended.exit_code == 1 and "needs https://" in ended.stderr, ended.output
    assert "a password" not in ended.output


EVIL = "a\x1b[2Jb\u202e"


def test_what_a_server_says_of_a_person_steers_no_terminal() -> None:
    document = {
        "dataset": EVIL,
        "schema": {"id": EVIL, "version": EVIL},
        "in_vault_since": EVIL,
        "kept_until": EVIL,
        "consent": [],
        "records": [
            {
                "cells": [{"attribute": EVIL, "label": EVIL, "value": EVIL, "meaning": EVIL}],
                "replaced": [[{"attribute": EVIL, "label": EVIL, "value": EVIL, "meaning": EVIL}]],
            }
        ],
    }
    shown = "\n".join(person_lines(document, history=True))
    assert "\x1b" not in shown and "\u202e" not in shown and "record 1 of 1" in shown
    with pytest.raises(UnexpectedAnswerError):
        list(person_lines({**document, "records": "none"}, history=False))


def test_tables_and_receipts_that_are_none_are_refused() -> None:
    table = {"name": "a", "title": "b", "base": "c", "label_heads": [], "number_heads": []}
    for rows in (
        [{"labels": [], "cells": "x", "total": False}],
        [{"labels": [], "cells": [True], "total": False}],
        None,
    ):
        document = {"made_on": "2026-11-23", "years": "all", "people": 1, "tables": [{**table, "rows": rows}]}
        with pytest.raises(UnexpectedAnswerError):
            read_tables("north/cases", document)
    inner: Any
    for inner in (
        {"number": "../../etc/passwd", "erased_month": "2026-11"},
        {"number": "7", "erased_month": "soon"},
        [],
    ):
        text = json.dumps({"receipt": json.dumps(inner), "signature": "", "public_key": ""})
        with pytest.raises(UnexpectedAnswerError):
            _signed(text)
    for text in ("", "[]", "{", '{"receipt": 1}', '{"receipt": "{"}'):
        with pytest.raises(UnexpectedAnswerError):
            _signed(text)
