"""No body is taken beyond its bound: every route, with nobody and with a steward signed in, whatever the body calls itself (rule 2 of `casehaven.core.boundary`)."""

from __future__ import annotations

import importlib
import secrets
from collections.abc import Iterator

import pytest
from tests.raw_request import send_raw
from tests.service.api.test_foreign_objects import filled
from tests.service.api.test_upload_room import Sender

from casehaven.api import ROUTERS
from casehaven.core.boundary import _STREAMED
from casehaven.core.web import BODY_BYTES
from casehaven.signin.sessions import page_value

KINDS = ["", "application/json", "application/octet-stream", "text/plain", "application/x-www-form-urlencoded"]
KINDS += ["multipart/form-data; boundary=x", "application/octet-stream; x=y", "APPLICATION/OCTET-STREAM"]
PIECE = 16 * 1024
UPLOADS = "/v1/datasets/{organisation}/{dataset}/uploads"
FILE_PAGE = "/datasets/{organisation}/{dataset}/uploads"
"""Whose form has a file: it passes the file on to the route of uploads, piece by piece."""
ROUTES = sorted(
    (method, route.path, route.body_field is not None)
    for module in ROUTERS
    for route in importlib.import_module(module).router.routes
    for method in route.methods
)
"""Method, path, and whether the route declares a body."""


@pytest.fixture(scope="module")
def sender(tmp_path_factory: pytest.TempPathFactory) -> Sender:
    """An app and its people."""
    return Sender(tmp_path_factory.mktemp("bounds"))


def test_one_route_and_its_page_alone_read_their_bodies_themselves() -> None:
    assert len(ROUTES) > 60 and sum(body for _, _, body in ROUTES) > 20
    streamed = [(method, path) for method, path, _ in ROUTES if _STREAMED.fullmatch(filled(path, organisation="north"))]
    assert sorted(streamed) == [("GET", UPLOADS), ("POST", FILE_PAGE), ("POST", UPLOADS)]


def _form(page: str, before: bytes = b"") -> Iterator[bytes]:
    """A form with a file that does not end before 64 MiB, in pieces."""
    yield f'--x\r\nContent-Disposition: form-data; name="page"\r\n\r\n{page}\r\n'.encode()
    yield (
        b'--x\r\nContent-Disposition: form-data; name="key"\r\n\r\n' + secrets.token_hex(16).encode() + before + b"\r\n"
    )
    yield b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\n'
    yield from (b"x" * PIECE for _ in range(64 * 1024 * 1024 // PIECE))


def test_the_page_of_a_file_takes_no_more_than_it_must(sender: Sender) -> None:
    """Nobody signed in: nothing. Another page's form: what stands before the file. Too much before the file: 64 KiB. A file: what the route of uploads takes, and nothing stays of it."""
    session, path = sender.people["north"].session, "/datasets/north/cases/uploads"
    kind = {"content_type": "multipart/form-data; boundary=x"}
    nobody = send_raw(sender.app, "POST", path, _form("x"), **kind)
    assert (nobody.status, nobody.taken) in ((303, 0), (401, 0))
    forged = send_raw(sender.app, "POST", path, _form("x" * 43), session=session, **kind)
    assert (forged.status, forged.code) == (403, "cross-site")
    assert forged.taken <= 2 * PIECE
    heavy = send_raw(sender.app, "POST", path, _form(page_value(session), b"y" * 200_000), session=session, **kind)
    assert heavy.status == 400
    assert heavy.taken <= 200_000 + 2 * PIECE
    endless = send_raw(sender.app, "POST", path, _form(page_value(session)), session=session, **kind)
    assert (endless.status, endless.code) == (507, "uploads-waiting")
    assert endless.taken <= 16 * 1024 * 1024
    assert sender.files == []


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("signed_in", [False, True])
def test_no_route_takes_more_of_a_body_than_its_bound(sender: Sender, kind: str, signed_in: bool) -> None:
    refused = set()
    for method, path, body in ROUTES:
        if (method, path) == ("POST", UPLOADS) and signed_in:
            continue  # it has a bound of its own: test_upload_room.py
        if signed_in and not body:
            continue  # a route that declares no body is given none by the framework
        sender.service.limits._buckets.clear()
        answer = send_raw(
            sender.app,
            method,
            filled(path, organisation="north"),
            (b"[" * PIECE for _ in range(128)),  # 2 MiB
            session=sender.stepped_up("north") if signed_in else None,
            idempotency_key=secrets.token_hex(16),
            **({"content_type": kind} if kind else {}),
        )
        assert answer.taken <= BODY_BYTES + PIECE, (method, path)
        assert answer.status < 500, (method, path, answer.body)
        if answer.status == 413:
            assert answer.code == "body-too-large"
            assert body, (method, path)
            refused.add((method, path))
        elif answer.taken:
            pytest.fail(f"{method} {path} took {answer.taken} bytes and answered {answer.status}")
    assert ("POST", "/v1/session") in refused
    assert len(refused) >= (18 if signed_in else 4), sorted(refused)
