"""What tests of pages share: readers of a running service, over HTTP and in Chromium."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx
from tests.service.api.conftest import Caller

from casehaven.signin.principal import SESSION_COOKIE
from casehaven.signin.sessions import page_value

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Page

AXE = "async () => (await axe.run(document, {resultTypes: ['violations']})).violations.map((each) => [each.id, each.nodes[0].html.slice(0, 200)])"
CHROMIUM_SAYS = ("Failed to load resource: the server responded with a status of", "Clear-Site-Data header on ")
"""Chromium's own words on every refusal, and on signing out."""


@dataclass(frozen=True, kw_only=True)
class Reader:
    """A member who reads pages over HTTP, as a browser without a script does."""

    caller: Caller
    language: str = "en"

    def get(self, path: str) -> httpx.Response:
        """Read a page; redirects are not followed."""
        return self.caller.http.get(path, headers=self._headers())

    def post(self, path: str, fields: Mapping[str, str | Sequence[str]], *, key: str = "k" * 32) -> httpx.Response:
        """Send a form as the page at this path would."""
        data = {"page": page_value(self.caller.session), "key": key, **fields}
        return self.caller.http.post(path, data=data, headers={**self._headers(), "Origin": self.caller.origin})

    def follow(self, answer: httpx.Response) -> httpx.Response:
        """Follow a redirect and the page of a job until there is something to read."""
        for _ in range(200):
            if answer.status_code == 303:
                answer = self.get(answer.headers["location"])
            elif 'data-state="queued"' in answer.text or 'data-state="running"' in answer.text:
                again = re.search(r'data-again="([^"]+)"', answer.text)
                assert again is not None
                self.caller.get("/v1/jobs/" + again[1].split("/")[2].split("?")[0] + "?result=false", wait=2)
                answer = self.get(again[1].replace("&amp;", "&"))
            else:
                return answer
        raise AssertionError("the job does not end")

    def _headers(self) -> dict[str, str]:
        return {
            "Cookie": f"{SESSION_COOKIE}={self.caller.session}",
            "Accept": "text/html",
            "Accept-Language": self.language,
        }


@dataclass
class Window:
    """A page in Chromium, signed in as a member; at the end nothing was asked from elsewhere and no script failed."""

    page: Page
    context: BrowserContext
    origin: str
    axe_script: str = field(repr=False)
    said: list[str] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)

    def go(self, path: str) -> Page:
        """Open a page of the service."""
        self.page.goto(self.origin + path)
        return self.page

    def barriers(self) -> list[Any]:
        """What axe finds on the page that is open."""
        self.page.evaluate(self.axe_script)
        found: list[Any] = self.page.evaluate(AXE)
        return found

    def tab_to(self, selector: str, most: int = 80) -> None:
        """Press Tab until an element has the focus."""
        for _ in range(most):
            self.page.keyboard.press("Tab")
            if self.page.evaluate("(wanted) => document.activeElement?.matches(wanted)", selector):
                return
        raise AssertionError(f"{selector} cannot be reached by keyboard")

    def close(self) -> None:
        """Close, and check."""
        self.context.close()
        assert self.elsewhere == []
        assert [words for words in self.said if not words.startswith(CHROMIUM_SAYS)] == []
