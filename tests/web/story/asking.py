"""A researcher signs in with a password and a code, asks some questions in the question builder and the others from a list, and reads what comes back."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP
from tests.service.api.conftest import Caller
from tests.web.pages import Window
from tests.web.story.world import plain

PASSWORD = "three boats under one bridge"
STEP = 30
"""Seconds that a code of an authenticator app counts for; the one before and the one after are taken, too, each once."""
ATTEMPTS = 10
"""Ticks that a question may miss on a slow computer: each time its asker is told so, and asks again."""
BY_PAGE = [("gender", 150), ("gender", 120)]
"""Attribute, and within how many people. Asked in the question builder; nothing of the list helps them."""
FROM_A_LIST = [
    *(
        (name, within)
        for name in ("ageBroad", "traffickMonths", "isForcedLabour", "isSexualExploit")
        for within in (150, 120, 100, 90)
    ),
    ("isOtherExploit", 150),
    ("isOtherExploit", 120),
]


def question(by: str, within: int) -> dict[str, Any]:
    """A question of the list as the route takes it."""
    return {"by": [by], "accuracy": {"within_people": within}}


def sign_in_by_page(window: Window, handle: str) -> None:
    """Set a password and an authenticator app on the page of the account, sign out, and come back with both."""
    page = window.go("/account")
    page.locator("#new-password").fill(PASSWORD)
    page.get_by_role("button", name="Set the password").click()
    page.get_by_text("A password is set.").wait_for()
    page.get_by_role("button", name="Set up an app").click()
    shown = page.locator("#app-secret")
    shown.wait_for()
    app = TOTP(base64.b32decode(shown.inner_text().replace(" ", "")), 6, SHA1(), STEP)
    used = int(time.time()) // STEP
    page.locator("#app-code").fill(app.generate(used * STEP).decode())
    page.get_by_role("button", name="Confirm", exact=True).click()
    page.get_by_text("Recovery codes left: 10").wait_for()
    page.get_by_role("button", name="Sign out", exact=True).click()
    page.locator("#handle").fill(handle)
    page.locator("#password").fill(PASSWORD)
    fresh = max(used + 1, int(time.time()) // STEP)  # a code works once
    page.locator("#code").fill(app.generate(fresh * STEP).decode())
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.get_by_text(f"Hello, {handle}").wait_for()


def ask_by_page(window: Window, agreement: str, by: str, within: int) -> dict[str, Any]:
    """Build a question, see its price, ask it, read the answer, and return it as the route tells it; with how many ticks it missed."""
    for missed in range(ATTEMPTS):
        page = window.go(f"/ask?of=agreement:{agreement}")
        page.locator(f"input[name=by][value={by}]").check()
        page.locator("#within").fill(str(within))
        page.locator("#price", has_text=f"Every count will be within {within} of").wait_for()
        page.locator("#price button").click()
        page.locator("main table tbody tr, #job .summary").first.wait_for()
        if "/answers/" in page.url.partition("?")[0]:
            break
    place = f"/v1/jobs/{page.url.rpartition('/')[2]}/result"
    found: dict[str, Any] = page.evaluate("(place) => fetch(place).then((answer) => answer.json())", place)
    shown = [plain(row.inner_text()) for row in page.locator("main table tbody tr").all()]
    told = found["answer"]["rows"]
    assert len(shown) == len(told) > 1
    for text, row in zip(shown, told, strict=True):
        hidden = row.get("hidden", False)
        assert ("hidden" in text) == hidden
        assert hidden or f"{row['estimate']:,} {row['low']:,} to {row['high']:,}" in text
    return {**found, "missed": missed}


@contextmanager
def asked_from_a_list(caller: Caller, agreement: str) -> Iterator[Sequence[dict[str, Any]]]:
    """Ask many questions at once, as somebody with a list of tables does, while the block runs; the answers are there after it."""
    answers: list[dict[str, Any]] = []
    with ThreadPoolExecutor(5) as pool:
        asked = [pool.submit(ask, caller, agreement, *each) for each in FROM_A_LIST]
        yield answers
        answers += [each.result() for each in asked]


def ask(caller: Caller, agreement: str, by: str, within: int) -> dict[str, Any]:
    """Ask one; where a slow computer missed the tick after the charge, ask again, as the problem advises. Says how many ticks it missed."""
    for missed in range(ATTEMPTS):
        body = {"agreement": agreement, "question": question(by, within)}
        answer = caller.post("/v1/answers", body, key=uuid4().hex)
        while answer.status_code == 202:
            answer = caller.get(answer.headers["Location"])
        if answer.status_code == 200:
            return {**answer.json()["result"], "missed": missed}
        assert answer.json()["code"] == "charged-failure", answer.text
    raise AssertionError("every tick was missed")
