"""Every route answers with the security headers, whoever asks and whatever comes of it; every problem is in the OpenAPI document with an example (threats 15 and 21)."""

from __future__ import annotations

import base64
import re
import secrets
from typing import TYPE_CHECKING

import pytest
from tests.service.api.test_foreign_objects import ROUTES, filled

from casehaven.core.boundary import HEADERS
from casehaven.core.problems import MEDIA_TYPE, all_problems

if TYPE_CHECKING:
    from tests.service.api.conftest import House

OWN_POLICY = {"content-security-policy", "cache-control"}
"""Headers that a page or a download may set itself."""


def _check(headers: dict[str, str], place: str) -> None:
    for name, value in HEADERS.items():
        assert name in headers, (place, name)
        if name == "referrer-policy" and not place.startswith(
            "/v1"
        ):  # with the other one, browsers send a page's form with `Origin: null`
            assert headers[name] in (value, "same-origin"), place
        elif name not in OWN_POLICY:
            assert headers[name] == value, (place, name)
    assert "default-src 'none'" in headers["content-security-policy"], place
    assert "frame-ancestors 'none'" in headers["content-security-policy"], place
    assert re.fullmatch("[0-9a-f]{16}", headers["x-request-id"]), place
    assert "server" not in headers, place


@pytest.mark.parametrize(("method", "path", "operation"), ROUTES, ids=lambda value: str(value))
def test_every_route_has_the_security_headers(house: House, method: str, path: str, operation: str) -> None:
    address = f"127.0.11.{1 + ROUTES.index((method, path, operation)) % 250}"  # requests of nobody are counted by it
    with house.running.client(address) as nobody:
        refused = nobody.request(method, filled(path, organisation="north"))
        assert refused.status_code == 401, refused.text
        assert refused.headers["content-type"] == MEDIA_TYPE
        _check(dict(refused.headers), path)
    answered = house.policymaker.call(method, filled(path, organisation="north"), wait=0)
    _check(dict(answered.headers), path)


def test_pages_wrong_paths_and_wrong_methods_have_them_too(house: House) -> None:
    with house.running.client() as nobody:
        for method, path in (
            ("GET", "/"),
            ("GET", "/sign-in"),
            ("GET", "/nothing"),
            ("PUT", "/v1/jobs"),
            ("GET", "/v1/openapi.json"),
            ("GET", "/v1/%00"),
            ("POST", "/v1/session"),
        ):
            answer = nobody.request(method, path)
            assert answer.status_code < 500
            _check(dict(answer.headers), path)


def test_a_request_without_its_page_or_from_another_site_changes_nothing(house: House) -> None:
    who = house.north
    for headers in ({"Origin": "https://elsewhere.example"}, {"X-Casehaven-Page": "made-up"}):
        refused = who.post("/v1/audit/verification", {}, headers=headers)
        assert (refused.status_code, refused.json()["code"]) == (403, "cross-site")


def test_openapi_has_an_example_of_every_problem_that_a_route_can_answer(house: House) -> None:
    document = house.north.get("/v1/openapi.json", wait=0).json()
    assert document["openapi"].startswith("3.1")
    known, seen = all_problems(), set()
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            for status, response in operation["responses"].items():
                for code, example in response.get("content", {}).get(MEDIA_TYPE, {}).get("examples", {}).items():
                    assert example["value"]["code"] == code
                    assert example["value"]["status"] == known[code].status == int(status), (path, method)
                    seen.add(code)
    assert {"not-found", "not-signed-in", "step-up-needed", "budget-exhausted", "rate-limited", "internal"} <= seen


def test_a_body_that_is_too_large_is_refused_whatever_it_says(house: House) -> None:
    big = b'{"datasets": ["' + b"x" * 300_000 + b'"]}'
    refused = house.researcher.call(
        "POST", "/v1/quotes", content=big, headers={"Content-Type": "application/json"}, wait=0
    )
    assert (refused.status_code, refused.json()["code"]) == (413, "body-too-large")


@pytest.mark.parametrize("kind", ["application/octet-stream", "text/plain", "application/x-www-form-urlencoded", ""])
def test_no_name_of_a_body_takes_its_bound_away(house: House, kind: str) -> None:
    client = house.running.client()
    for path in ("/v1/session", "/v1/session/passkey", "/v1/quotes", "/v1/datasets/north/cases/uploads/x"):
        sent = client.post(path, content=b"x" * 300_000, headers={"Content-Type": kind} if kind else {})
        assert sent.status_code in (401, 404, 405, 413), (path, sent.status_code)
    sent = client.post("/v1/session", content=b"x" * 300_000, headers={"Content-Type": kind} if kind else {})
    assert (sent.status_code, sent.json()["code"]) == (413, "body-too-large")


@pytest.mark.parametrize("text", ["NaN", "1.5e400", '"\\ud800"', "[" * 300 + "]" * 300])
def test_json_that_cannot_be_written_again_is_a_fault_of_the_body(house: House, text: str) -> None:
    body = b'{"datasets":["north/cases"],"question":{"by":["gender"],"x":' + text.encode() + b"}}"
    refused = house.researcher.call(
        "POST", "/v1/quotes", content=body, headers={"Content-Type": "application/json"}, wait=0
    )
    assert (refused.status_code, refused.json()["code"]) == (422, "body")


def test_a_passkey_whose_document_is_all_brackets_is_refused(house: House) -> None:
    deep = base64.urlsafe_b64encode(b"[" * 60_000).decode().rstrip("=")
    sent = {"id": "x", "rawId": "x", "type": "public-key", "response": {"clientDataJSON": deep}}
    for body in ({"answer": sent}, {"credential": sent}, sent):
        refused = house.running.client().post(
            "/v1/session/passkey", json=body, headers={"Origin": house.running.origin}
        )
        assert 400 <= refused.status_code < 500, refused.text


def test_a_cursor_that_was_made_up_is_refused(house: House) -> None:
    for cursor in ("AAAA", secrets.token_urlsafe(24), "%"):
        refused = house.north.get(f"/v1/jobs?cursor={cursor}", wait=0)
        assert refused.status_code == 400, refused.text
        assert refused.json()["code"] == "cursor"


def test_pages_hold_every_job_once(house: House) -> None:
    for _ in range(3):
        house.officer.post("/v1/audit/verification", {}, wait=0)
    seen: list[str] = []
    path = "/v1/jobs?limit=2"
    for _ in range(50):
        found = house.officer.get(path, wait=0).json()
        assert len(found["items"]) <= 2
        seen += [job["id"] for job in found["items"]]
        if found["next"] is None:
            break
        path = f"/v1/jobs?limit=2&cursor={found['next']}"
    assert len(seen) == len(set(seen)) >= 3
