"""Cookies, origins and tokens through a real server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.front_door import PASSWORD, Person, Served

from casehaven.organisations.access import Operation
from casehaven.organisations.roles import Role
from casehaven.signin import setup
from casehaven.signin.principal import DEVICE_COOKIE, PAGE_HEADER, SESSION_COOKIE
from casehaven.signin.sessions import page_value
from casehaven.signin.tokens import make_token


@pytest.fixture
def served(tmp_path: Path, empty_store: Path) -> Iterator[Served]:
    """A front door behind a server."""
    with Served(tmp_path / "store", made=empty_store) as served:
        yield served


def _ask(
    served: Served,
    method: str,
    path: str,
    body: Any = None,
    *,
    cookie: str | None = None,
    without: tuple[str, ...] = (),
    headers: dict[str, str] | None = None,
) -> httpx.Response:
    """Ask as a page of the service does, with or without some of what it sends."""
    sent = {"Origin": served.origin, "Sec-Fetch-Site": "same-origin"}
    if cookie is not None:
        sent |= {"Cookie": f"{SESSION_COOKIE}={cookie}", PAGE_HEADER: page_value(cookie)}
    sent |= headers or {}
    kept = {name: value for name, value in sent.items() if name not in without}
    return httpx.request(method, served.origin + path, json=body, headers=kept, timeout=60)


def _sign_in(served: Served, person: Person, **fields: str) -> httpx.Response:
    fields = {"handle": person.handle, "password": PASSWORD, "code": person.code(served.door.clock()), **fields}
    return _ask(served, "POST", "/v1/session", fields)


def _cookies(answer: httpx.Response) -> dict[str, set[str]]:
    found = {}
    for line in answer.headers.get_list("set-cookie"):
        name, *attributes = (part.strip() for part in line.split(";"))
        found[name.partition("=")[0]] = {attribute.lower() for attribute in attributes}
    return found


def _code(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.status_code, answer.json()["code"]


def test_cookies_are_for_this_host_alone_and_out_of_reach_of_scripts(served: Served) -> None:
    ana = served.door.set_up()
    served.door.give_password(ana)
    answer = _sign_in(served, ana)
    assert answer.status_code == 201
    cookies = _cookies(answer)
    assert cookies[SESSION_COOKIE] == {"httponly", "secure", "samesite=strict", "path=/"}
    assert cookies[DEVICE_COOKIE] == {"httponly", "secure", "samesite=strict", "path=/", "max-age=7776000"}
    assert SESSION_COOKIE.startswith("__Host-")
    assert DEVICE_COOKIE.startswith("__Host-")
    value = answer.headers.get_list("set-cookie")
    raw = next(line.split("=", 1)[1].split(";")[0] for line in value if line.startswith(SESSION_COOKIE))
    assert raw not in answer.text


def test_whoever_is_not_signed_in_is_answered_alike(served: Served) -> None:
    ana = served.door.set_up()
    served.door.give_password(ana)
    ended = ana.session
    _ask(served, "DELETE", "/v1/session", cookie=ended)
    answers = [
        _ask(served, "GET", "/v1/tokens"),
        _ask(served, "GET", "/v1/tokens", cookie=ended),
        _ask(served, "GET", "/v1/tokens", cookie="x"),
        _ask(served, "GET", "/v1/tokens", headers={"Authorization": "Bearer chv_" + "A" * 43}),
        _ask(served, "GET", "/v1/tokens", headers={"Authorization": "Bearer nonsense"}),
        _ask(served, "GET", "/v1/tokens", headers={"Authorization": "Basic YW5hOmFuYQ=="}),
        _ask(served, "GET", "/v1/tokens", headers={"Authorization": ""}),
    ]
    assert {_code(answer) for answer in answers} == {(401, "not-signed-in")}
    assert len({answer.text for answer in answers}) == 1


def test_whatever_is_wrong_with_a_sign_in_is_answered_with_the_same_bytes(served: Served) -> None:
    ana = served.door.set_up()
    served.door.give_password(ana)
    answers = [
        _sign_in(served, ana, password="another lamp, another window"),
        _sign_in(served, ana, code="000000"),
        _sign_in(served, ana, handle="nobody"),
    ]
    assert {_code(answer) for answer in answers} == {(401, "wrong-credentials")}
    assert len({answer.content for answer in answers}) == 1
    names = [sorted(set(answer.headers) - {"date", "x-request-id"}) for answer in answers]
    assert names[0] == names[1] == names[2]


def test_a_request_that_changes_something_must_come_from_a_page_of_the_service(served: Served) -> None:
    ana = served.door.set_up()
    foreign = "http://evil.example"
    tries: dict[str, httpx.Response] = {
        "no page value": _ask(served, "DELETE", "/v1/session", cookie=ana.session, without=(PAGE_HEADER,)),
        "another session's page value": _ask(
            served, "DELETE", "/v1/session", cookie=ana.session, headers={PAGE_HEADER: page_value("x")}
        ),
        "foreign origin": _ask(served, "DELETE", "/v1/session", cookie=ana.session, headers={"Origin": foreign}),
        "null origin": _ask(served, "DELETE", "/v1/session", cookie=ana.session, headers={"Origin": "null"}),
        "other port": _ask(
            served, "DELETE", "/v1/session", cookie=ana.session, headers={"Origin": "http://localhost:1"}
        ),
        "cross-site": _ask(
            served, "DELETE", "/v1/session", cookie=ana.session, headers={"Sec-Fetch-Site": "cross-site"}
        ),
        "same-site": _ask(served, "DELETE", "/v1/session", cookie=ana.session, headers={"Sec-Fetch-Site": "same-site"}),
        "typed by hand": _ask(served, "DELETE", "/v1/session", cookie=ana.session, headers={"Sec-Fetch-Site": "none"}),
        "no word of where from": _ask(
            served, "DELETE", "/v1/session", cookie=ana.session, without=("Origin", "Sec-Fetch-Site")
        ),
        "guarded route": _ask(served, "POST", "/v1/tokens", {}, cookie=ana.session, headers={"Origin": foreign}),
        "sign-in from elsewhere": _ask(
            served, "POST", "/v1/session", {"handle": "a", "password": "b", "code": "c"}, headers={"Origin": foreign}
        ),
        "set-up from elsewhere": _ask(
            served, "POST", "/v1/join", {"code": "x"}, headers={"Sec-Fetch-Site": "cross-site"}
        ),
    }
    assert {name: _code(answer) for name, answer in tries.items()} == dict.fromkeys(tries, (403, "cross-site"))
    assert _ask(served, "GET", "/v1/session", cookie=ana.session).status_code == 200
    gone = _ask(served, "DELETE", "/v1/session", cookie=ana.session, without=("Origin",))
    assert gone.status_code == 204
    assert gone.headers["clear-site-data"] == '"cache", "storage"'


def test_reading_needs_the_cookie_alone(served: Served) -> None:
    ana = served.door.set_up()
    without = (PAGE_HEADER, "Origin", "Sec-Fetch-Site")
    answer = _ask(served, "GET", "/v1/session", cookie=ana.session, without=without)
    assert answer.status_code == 200
    assert answer.json()["page_value"] == page_value(ana.session)


def test_a_token_needs_no_page_and_the_cookie_beside_it_is_not_looked_at(served: Served) -> None:
    ana = served.door.set_up()
    bob = served.door.join(ana, "bob", Role.CASEWORKER)
    principal = served.door.principal(bob)
    operations = frozenset({Operation.PRINCIPAL_READ, Operation.TOKEN_REVOKE})
    with served.door.site.writing() as connection:
        made, value = make_token(connection, served.door.clock(), principal, name="x", operations=operations, days=1)
    bearer = {"Authorization": f"Bearer {value}"}
    shown = _ask(
        served, "GET", "/v1/principal", cookie=ana.session, without=("Origin", "Sec-Fetch-Site"), headers=bearer
    )
    assert (shown.json()["handle"], shown.json()["operations"]) == ("bob", ["principal.read", "token.revoke"])
    assert _code(_ask(served, "GET", "/v1/tokens", headers=bearer)) == (403, "forbidden")
    assert _code(_ask(served, "GET", "/v1/credentials", headers=bearer)) == (401, "not-signed-in")
    assert (
        _ask(
            served, "DELETE", f"/v1/tokens/{made.id}", without=("Origin", "Sec-Fetch-Site"), headers=bearer
        ).status_code
        == 204
    )
    assert _code(_ask(served, "GET", "/v1/principal", headers=bearer)) == (401, "not-signed-in")


def test_credentials_change_with_a_fresh_second_factor_only(served: Served) -> None:
    ana = served.door.set_up()
    served.door.clock.now += 300
    for method, path, body in (
        ("PUT", "/v1/credentials/password", {"password": "a lamp beside the window"}),
        ("POST", "/v1/credentials/app", None),
        ("POST", "/v1/credentials/app/confirm", {"code": "000000"}),
        ("POST", "/v1/credentials/recovery-codes", None),
        ("POST", "/v1/credentials/passkeys/options", None),
        ("POST", "/v1/credentials/passkeys", {"credential": {}, "name": "x"}),
        ("DELETE", "/v1/credentials/passkeys/x", None),
        ("POST", "/v1/tokens", {"name": "x", "operations": ["upload.create"], "days": 1}),
        ("POST", "/v1/organisations/north/members", {"handle": "bob", "roles": []}),
        ("DELETE", "/v1/organisations/north/members/bob", None),
        ("PUT", "/v1/organisations/north/members/bob/roles/steward", None),
        ("POST", "/v1/organisations/north/members/bob/recovery", None),
    ):
        assert _code(_ask(served, method, path, body, cookie=ana.session)) == (403, "step-up-needed"), path


def test_an_enrolling_session_makes_credentials_and_nothing_else(served: Served) -> None:
    code = setup.setup_code(served.door.site)
    body = {"code": code, "organisation": "north", "title": "North", "kind": "ngo", "handle": "ana"}
    answer = _ask(served, "POST", "/v1/setup", body)
    assert answer.status_code == 201
    assert answer.json()["kind"] == "enrolling"
    value = answer.headers["set-cookie"].split("=", 1)[1].split(";")[0]
    for method, path in (("GET", "/v1/tokens"), ("GET", "/v1/organisations"), ("GET", "/v1/principal")):
        assert _code(_ask(served, method, path, cookie=value)) == (401, "not-signed-in")
    assert _code(_ask(served, "POST", "/v1/session/step-up", {"code": "000000"}, cookie=value)) == (
        401,
        "not-signed-in",
    )
    assert _code(_ask(served, "POST", "/v1/enrolment/finish", cookie=value)) == (409, "no-way-in")
    new = _ask(served, "PUT", "/v1/credentials/password", {"password": "a lamp beside the window"}, cookie=value)
    assert new.status_code == 204
    shown = _ask(served, "GET", "/v1/credentials", cookie=value).json()
    assert (shown["password"], shown["app"], shown["way_in"]) == (True, False, False)


def test_members_of_others_and_nobody_are_the_same_bytes(served: Served) -> None:
    ana = served.door.set_up()
    served.door.found("eve", "south")
    paths = ("members", "grants", "events", "members/eve/recovery")
    for path in paths[:3]:
        answers = [
            _ask(served, "GET", f"/v1/organisations/{name}/{path}", cookie=ana.session) for name in ("south", "no")
        ]
        assert {_code(answer) for answer in answers} == {(404, "not-found")}
        assert answers[0].content == answers[1].content
    for handle in ("eve", "nobody"):
        for method, path in (
            ("DELETE", ""),
            ("PUT", "/roles/caseworker"),
            ("DELETE", "/roles/caseworker"),
            ("POST", "/recovery"),
            ("POST", "/code"),
        ):
            answer = _ask(served, method, f"/v1/organisations/north/members/{handle}{path}", cookie=ana.session)
            assert _code(answer) == (404, "not-found"), (handle, path)


def test_a_member_sees_their_sessions_and_ends_one_with_a_fresh_second_factor(served: Served) -> None:
    ana = served.door.set_up()
    first = ana.session
    second = served.door.sign_in(ana)
    eve = served.door.found("eve", "south")
    listed = _ask(served, "GET", "/v1/sessions", cookie=second).json()
    assert [one["here"] for one in sorted(listed, key=lambda one: bool(one["here"]))] == [False, True]
    other = next(one["id"] for one in listed if not one["here"])
    assert first not in str(listed)
    for cookie in (eve.session, second):
        answer = _ask(served, "DELETE", f"/v1/sessions/{other}", cookie=cookie)
        assert answer.status_code == (204 if cookie == second else 404)
    assert _code(_ask(served, "GET", "/v1/session", cookie=first)) == (401, "not-signed-in")
    served.door.clock.now += 300
    assert _code(_ask(served, "DELETE", f"/v1/sessions/{other}", cookie=second)) == (403, "step-up-needed")


def test_who_could_end_a_member_can_sign_them_out(served: Served) -> None:
    ana = served.door.set_up()
    bob = served.door.join(ana, "bob", Role.CASEWORKER)
    path = "/v1/organisations/north/members/{}/sessions"
    assert _code(_ask(served, "DELETE", path.format("ana"), cookie=bob.session)) == (403, "forbidden")
    assert _code(_ask(served, "DELETE", path.format("nobody"), cookie=ana.session)) == (404, "not-found")
    assert _ask(served, "DELETE", path.format("bob"), cookie=ana.session).status_code == 204
    assert _code(_ask(served, "GET", "/v1/session", cookie=bob.session)) == (401, "not-signed-in")
    assert served.door.actions()[-1] == "session.ended_by_another"


def test_the_page_of_setting_up_is_there_only_while_there_is_something_to_set_up(served: Served) -> None:
    def there() -> int:
        return httpx.get(served.origin + "/set-up", timeout=60).status_code

    assert there() == 200
    served.door.set_up()
    assert there() == 404
    assert setup.operator_code(served.door.site)
    assert there() == 200
    served.door.clock.now += 86_400
    assert there() == 404


def test_a_wait_says_how_long(served: Served) -> None:
    ana = served.door.set_up()
    served.door.give_password(ana)
    answers = [_sign_in(served, ana, password="wrong wrong wrong") for _ in range(7)]
    assert [answer.status_code for answer in answers] == [401] * 6 + [429]
    assert answers[-1].headers["retry-after"] == "2"


def test_pages_allow_nothing_from_elsewhere_and_are_never_kept(served: Served) -> None:
    for path in ("/sign-in", "/set-up", "/join", "/recover"):
        answer = httpx.get(served.origin + path, timeout=60)
        assert answer.status_code == 200, path
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'")
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "same-origin"
        assert "http://" not in answer.text.replace("http://www.w3.org", "")
        assert "https://" not in answer.text
    assert httpx.get(served.origin, timeout=60).headers["location"] == "/sign-in"
