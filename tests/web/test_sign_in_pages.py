"""The pages of sign-in in Debian's Chromium, before a real server: set up, passkeys in its virtual authenticator, codes, recovery."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP
from sqlalchemy import select
from tests.front_door import PASSWORD, Served
from tests.web.pages import CHROMIUM_SAYS

from casehaven.core import jobs
from casehaven.core.projection import publish
from casehaven.core.service_store import ServiceStore
from casehaven.core.service_tables import job
from casehaven.organisations.roles import Role
from casehaven.signin import joining, recovery, setup
from casehaven.signin.principal import SESSION_COOKIE

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, CDPSession, Page

RUN = "async () => (await axe.run(document, {resultTypes: ['violations']})).violations.map((each) => [each.id, each.nodes[0].html.slice(0, 200)])"
PATIENCE = 60_000
"""Milliseconds: another test may have the processor."""


@pytest.fixture(scope="module")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("web") / "store"
    ServiceStore.create(folder)
    return folder


@pytest.fixture
def served(tmp_path: Path, empty_store: Path) -> Iterator[Served]:
    with Served(tmp_path / "store", made=empty_store) as served:
        yield served


class Visitor:
    """A browser of one person, with an authenticator of its own."""

    def __init__(self, browser: Browser, served: Served) -> None:
        self.served = served
        self.context: BrowserContext = browser.new_context(locale="en-GB", viewport={"width": 900, "height": 1000})
        self.page: Page = self.context.new_page()
        self.page.set_default_timeout(PATIENCE)
        self.said: list[str] = []
        self.elsewhere: list[str] = []
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", lambda asked: self._asked(asked.url))
        self.cdp: CDPSession = self.context.new_cdp_session(self.page)
        self.cdp.send("WebAuthn.enable")
        made = self.cdp.send(
            "WebAuthn.addVirtualAuthenticator",
            {
                "options": {
                    "protocol": "ctap2",
                    "transport": "internal",
                    "hasResidentKey": True,
                    "hasUserVerification": True,
                    "isUserVerified": True,
                    "automaticPresenceSimulation": True,
                }
            },
        )
        self.authenticator: str = made["authenticatorId"]

    def _asked(self, url: str) -> None:
        if not url.startswith(f"{self.served.origin}/"):
            self.elsewhere.append(url)

    def go(self, path: str) -> None:
        self.page.goto(self.served.origin + path)

    def fill(self, **fields: str) -> None:
        for name, value in fields.items():
            self.page.locator(f"#{name.replace('_', '-')}").fill(value)

    def press(self, name: str) -> None:
        self.page.get_by_role("button", name=name, exact=True).click()

    def sees(self, text: str) -> None:
        self.page.get_by_text(text).first.wait_for()

    def passkeys(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.cdp.send("WebAuthn.getCredentials", {"authenticatorId": self.authenticator})[
            "credentials"
        ]
        return found

    def verified(self, yes: bool) -> None:
        """Let the device know the person, or not."""
        self.cdp.send("WebAuthn.setUserVerified", {"authenticatorId": self.authenticator, "isUserVerified": yes})

    def cookie(self, name: str) -> dict[str, Any]:
        return next(dict(cookie) for cookie in self.context.cookies() if cookie.get("name") == name)


@pytest.fixture
def visitor(browser: Browser, served: Served) -> Iterator[Visitor]:
    """A visitor; at the end, nothing was asked from elsewhere, and no script failed."""
    made = Visitor(browser, served)
    yield made
    made.context.close()
    assert made.elsewhere == []
    assert [words for words in made.said if not words.startswith(CHROMIUM_SAYS)] == []


def _set_up(visitor: Visitor) -> None:
    code = setup.setup_code(visitor.served.door.site)
    assert code is not None
    visitor.go("/set-up")
    visitor.page.locator("#code").fill(code.lower())
    visitor.page.locator("#title").fill("North Shelter")
    visitor.fill(organisation="north", handle="ana")
    visitor.press("Go on")
    visitor.sees("ana, north")


def _add_passkey(visitor: Visitor, name: str = "laptop") -> None:
    visitor.fill(passkey_name=name)
    visitor.press("Add a passkey")
    visitor.page.get_by_role("button", name=f"Remove {name}").wait_for()


def _code(visitor: Visitor, secret: bytes) -> str:
    return TOTP(secret, 6, SHA1(), 30).generate(visitor.served.door.clock()).decode()


def _add_app(visitor: Visitor) -> bytes:
    visitor.press("Set up an app")
    shown = visitor.page.locator("#app-secret")
    shown.wait_for()
    secret = base64.b32decode(shown.inner_text().replace(" ", ""))
    link = visitor.page.locator("#app-uri").get_attribute("href")
    assert link is not None
    assert link.startswith("otpauth://totp/Casehaven:")
    visitor.fill(app_code=_code(visitor, secret))
    visitor.press("Confirm")
    visitor.sees("Recovery codes left: 10")
    visitor.served.door.clock.now += 60
    return secret


def test_first_run_with_a_passkey_then_signing_in_with_it(visitor: Visitor) -> None:
    _set_up(visitor)
    assert visitor.page.locator("#finish").is_disabled()
    _add_passkey(visitor)
    visitor.press("Go on")
    visitor.page.get_by_role("button", name="Sign out", exact=True).wait_for()
    cookie = visitor.cookie("__Host-casehaven-session")
    assert (cookie["secure"], cookie["httpOnly"], cookie["sameSite"], cookie["path"]) == (True, True, "Strict", "/")
    assert visitor.page.evaluate("document.cookie") == ""
    assert visitor.page.evaluate("[localStorage.length, sessionStorage.length]") == [0, 0]
    (credential,) = visitor.passkeys()
    assert (credential["rpId"], credential["isResidentCredential"]) == ("localhost", True)
    visitor.press("Sign out")
    visitor.press("Sign in with a passkey")
    visitor.sees("Hello, ana")
    visitor.go("/account")
    visitor.sees("ana, north (privacy officer, steward)")
    visitor.sees("This browser, since")
    assert visitor.passkeys()[0]["signCount"] > credential["signCount"]
    assert visitor.cookie("__Host-casehaven-session")["value"] != cookie["value"]


def test_without_the_persons_finger_face_or_pin_nobody_gets_in(visitor: Visitor) -> None:
    _set_up(visitor)
    _add_passkey(visitor)
    visitor.press("Go on")
    visitor.press("Sign out")
    visitor.verified(False)
    visitor.press("Sign in with a passkey")
    visitor.sees("The passkey was not used")
    assert visitor.page.url.endswith("/sign-in")
    visitor.verified(True)
    visitor.press("Sign in with a passkey")
    visitor.sees("Hello, ana")


def test_password_with_app_then_a_recovery_code_then_step_up(visitor: Visitor) -> None:
    _set_up(visitor)
    visitor.fill(new_password="password1234")
    visitor.press("Set the password")
    visitor.sees("among the first passwords that anybody would try")
    visitor.fill(new_password=PASSWORD)
    visitor.press("Set the password")
    visitor.sees("A password is set.")
    secret = _add_app(visitor)
    spare = visitor.page.locator("#codes-list li").first.inner_text()
    visitor.press("Go on")
    visitor.press("Sign out")
    visitor.fill(handle="ana", password=PASSWORD, code="000000")
    visitor.press("Sign in")
    visitor.sees("This sign-in was not accepted. Check handle, password and code; a code works once.")
    visitor.fill(code=_code(visitor, secret))
    visitor.press("Sign in")
    visitor.sees("Hello, ana")
    assert visitor.cookie("__Host-casehaven-device")["secure"]
    visitor.press("Sign out")
    visitor.fill(handle="ana", password=PASSWORD, code=spare)
    visitor.press("Sign in")
    visitor.sees("Hello, ana")
    visitor.go("/account")
    visitor.sees("Recovery codes left: 9")
    visitor.served.door.clock.now += 300
    visitor.page.reload()
    visitor.sees("Confirm that it is you")
    visitor.fill(new_password="another lamp, another window")
    visitor.press("Set the password")
    visitor.sees("This needs a second factor")
    visitor.fill(step_up_digits=_code(visitor, secret))
    visitor.press("Confirm with the code")
    visitor.page.locator("#step-up").wait_for(state="hidden")
    visitor.press("Set the password")
    visitor.page.locator("#message").wait_for(state="hidden")
    visitor.press("Sign out everywhere")
    visitor.sees("With a passkey")


def test_joining_and_getting_back_in_with_two_halves(visitor: Visitor) -> None:
    door = visitor.served.door
    ana = door.set_up()
    ben = door.join(ana, "ben", Role.STEWARD)
    _, code = joining.invite_member(door.site, door.principal(ana), handle="cleo", roles=frozenset({Role.CASEWORKER}))
    visitor.go("/join")
    visitor.fill(code=code)
    visitor.press("Go on")
    visitor.sees("cleo, north")
    _add_passkey(visitor, "phone")
    visitor.press("Go on")
    visitor.press("Sign out")
    zoe = door.join(ana, "zoe", Role.STEWARD)
    door.settle(ben, zoe)
    halves = [recovery.approve_recovery(door.site, door.principal(one), "cleo")[0] for one in (ben, zoe)]
    visitor.go("/recover")
    visitor.page.locator("#handle").fill("cleo")
    visitor.page.locator("#first_half").fill(halves[1])
    visitor.page.locator("#second_half").fill(halves[0])
    visitor.press("Go on")
    visitor.sees("cleo, north (caseworker)")
    assert visitor.page.get_by_role("button", name="Remove phone").count() == 0
    _add_passkey(visitor, "new phone")
    visitor.press("Go on")
    visitor.page.get_by_role("button", name="Sign out", exact=True).wait_for()


def test_whoever_is_not_signed_in_is_led_to_the_page_of_sign_in(visitor: Visitor) -> None:
    visitor.go("/account")
    visitor.sees("With a password and a code")


def test_after_sign_in_the_visitor_comes_to_the_page_that_was_asked_for_and_to_no_other_site(visitor: Visitor) -> None:
    _set_up(visitor)
    _add_passkey(visitor)
    visitor.press("Go on")
    visitor.press("Sign out")
    visitor.go("/jobs")
    visitor.press("Sign in with a passkey")
    visitor.page.get_by_role("heading", name="Your jobs").wait_for()
    for elsewhere in (
        "//elsewhere.example",
        "https:%2F%2Felsewhere.example",
        "/%5Celsewhere.example",
        "javascript:alert(1)",
    ):
        visitor.page.get_by_role("button", name="Sign out", exact=True).click()
        visitor.page.wait_for_url("**/sign-in")
        visitor.go(f"/sign-in?next={elsewhere}")
        visitor.press("Sign in with a passkey")
        visitor.sees("Hello, ana")


def test_another_page_cannot_act_in_the_visitors_name(visitor: Visitor, browser: Browser, served: Served) -> None:
    """A page of another origin asks with the visitor's browser: the cookie is not sent, and the service refuses."""
    _set_up(visitor)
    _add_passkey(visitor)
    visitor.press("Go on")
    visitor.sees("Hello, ana")
    other = visitor.context.new_page()
    other.route("http://evil.localhost/", lambda route: route.fulfill(body="<p>hello</p>", content_type="text/html"))
    other.goto("http://evil.localhost/")
    status = other.evaluate(
        "(url) => fetch(url, {method: 'DELETE', mode: 'no-cors', credentials: 'include'}).then(() => 'sent', () => 'refused')",
        f"{served.origin}/v1/session",
    )
    assert status in ("sent", "refused")
    posted = other.evaluate(
        "(url) => fetch(url, {method: 'POST', mode: 'no-cors', credentials: 'include', body: '{}'}).then(() => 'sent', () => 'refused')",
        f"{served.origin}/v1/session/passkey-options",
    )
    assert posted in ("sent", "refused")
    visitor.page.reload()
    visitor.sees("Hello, ana")


def test_a_form_that_needs_a_second_factor_is_confirmed_with_a_passkey_and_goes_on(visitor: Visitor) -> None:
    """Nothing is typed twice: what was sent waits on the page that asks for the second factor."""
    _set_up(visitor)
    _add_passkey(visitor)
    visitor.press("Go on")
    visitor.sees("Hello, ana")
    visitor.served.door.clock.now += 300
    visitor.go("/members")
    visitor.fill(handle="ben")
    visitor.page.get_by_label("caseworker").check()
    visitor.press("Invite")
    visitor.sees("Confirm that it is you")
    visitor.verified(False)
    visitor.press("Confirm with a passkey")
    visitor.sees("The passkey was not used")
    visitor.verified(True)
    visitor.press("Confirm with a passkey")
    visitor.page.locator(".once code").wait_for()
    visitor.go("/members")
    visitor.sees("ben")
    visitor.page.get_by_role("button", name="Sign out", exact=True).click()
    visitor.sees("With a password and a code")


def test_a_form_that_needs_a_second_factor_is_confirmed_with_a_code_and_without_a_script(
    browser: Browser, served: Served
) -> None:
    door = served.door
    ana = door.set_up()
    door.give_password(ana)
    door.clock.now += 300
    context = browser.new_context(java_script_enabled=False)
    try:
        secure = served.origin.replace("http:", "https:")
        context.add_cookies([{"name": SESSION_COOKIE, "value": ana.session, "url": secure, "secure": True}])
        page = context.new_page()
        page.goto(f"{served.origin}/members?lang=ar")
        page.locator("#handle").fill("ben")
        page.locator("input[value=caseworker]").check()
        page.locator("main form button").first.click()
        page.locator("#factor").fill("000000")
        page.locator("#confirm button:visible").click()
        page.locator(".summary").wait_for()
        door.clock.now += 60
        page.locator("#factor").fill(ana.code(door.clock()))
        page.locator("#confirm button:visible").click()
        page.locator(".once code").wait_for()
        assert page.locator("html").get_attribute("dir") == "rtl"
        page.locator("header form button").click()
        page.wait_for_url("**/sign-in")
    finally:
        context.close()


def test_what_the_worker_wants_signed_is_signed_on_the_next_page_and_goes_on(
    browser: Browser, tmp_path: Path, empty_store: Path
) -> None:
    """Api and worker as two users: a job about a person carries its asker's own signature, and nothing is typed twice."""
    with Served(tmp_path / "split", made=empty_store, assertions=True) as split:
        visitor = Visitor(browser, split)
        store = split.door.store
        _set_up(visitor)
        _add_passkey(visitor)
        visitor.press("Go on")
        visitor.sees("Hello, ana")
        key = X25519PrivateKey.generate().public_key().public_bytes_raw().hex()
        with store.writing() as connection:
            now, keys = split.door.clock(), {"organisation": "north", "public_key": key}
            publish(connection, "organisation-key", "north", keys, organisation="north", now=now)
            facts = {"organisation": "north", "name": "cases", "schema": "ctdc-global"}
            publish(connection, "dataset", "north/cases", facts, organisation="north", now=now)
        visitor.go("/people")
        fields = {"dataset": "cases", "do": "show", "reference": "a-1", "reason": "a test"}
        visitor.page.evaluate(
            """(fields) => {
              const form = document.querySelector("main form[action='/people']");
              const sent = document.createElement("form");
              Object.assign(sent, { method: "post", action: "/people" });
              fields.page = form.elements.namedItem("page").value;
              for (const [name, value] of Object.entries(fields)) {
                sent.append(Object.assign(document.createElement("input"), { type: "hidden", name, value }));
              }
              document.body.append(sent);
              sent.requestSubmit();
            }""",
            fields,
        )
        visitor.sees("Sign this with your passkey")
        with store.reading() as connection:
            assert connection.scalar(select(job.c.job_id).where(job.c.kind == "person.show")) is None
        visitor.page.get_by_role("button", name="Sign with a passkey").click(no_wait_after=True)
        until = time.monotonic() + 60
        found = None
        while found is None and time.monotonic() < until:
            with store.reading() as connection:
                found = connection.execute(select(job).where(job.c.kind == "person.show")).first()
            visitor.page.wait_for_timeout(100)
        assert found is not None, (visitor.page.locator("main").inner_text(), visitor.said)
        with store.writing() as connection:  # nobody works here: the page need not wait for it
            jobs.cancel(connection, found.job_id, member_id=found.member_id, now=split.door.clock())
        visitor.context.close()
        assert visitor.elsewhere == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_barrier(browser: Browser, served: Served, axe: str, scheme: str) -> None:
    ana = served.door.set_up()
    served.door.clock.now += 300  # the account's page asks for a second factor, too
    context = browser.new_context(color_scheme=scheme, bypass_csp=True)  # type: ignore[arg-type]  # one of its literals
    try:
        secure = served.origin.replace("http:", "https:")  # or it could not be set from here
        context.add_cookies([{"name": SESSION_COOKIE, "value": ana.session, "url": secure, "secure": True}])
        page = context.new_page()
        assert setup.operator_code(served.door.site)  # so that there is something to set up
        for path in ("/sign-in", "/set-up", "/join", "/recover", "/account"):
            page.goto(served.origin + path)
            if path == "/account":
                page.get_by_text("Confirm that it is you").wait_for()
                page.get_by_text("This browser, since").wait_for()
            page.evaluate(axe)
            assert page.evaluate(RUN) == [], path
    finally:
        context.close()
