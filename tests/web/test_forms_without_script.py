"""What is typed into a form never becomes part of an address, with a script and without: not in the history, not in a proxy's log."""

from __future__ import annotations

import asyncio
import os
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from tests.front_door import ORIGIN, FrontDoor

from casehaven.api import bounded, create_app
from casehaven.core.limits import Limits
from casehaven.core.web import ApiSettings, Service

TEMPLATES = Path(__file__).resolve().parents[2] / "platform" / "casehaven" / "web" / "templates"
SECRET = re.compile(
    r'type="password"|autocomplete="(?:one-time-code|current-password|new-password)"|name="(?:code|half)'
)
PAGES = ("/sign-in", "/set-up", "/join", "/recover", "/account")


def forms() -> list[tuple[str, str, str]]:
    """Every form of a template: where it is, its own tag, and what is in it."""
    return [
        (path.relative_to(TEMPLATES).as_posix(), tag, inside)
        for path in sorted(TEMPLATES.rglob("*.html"))
        for tag, inside in re.findall(r"(<form\b[^>]*>)(.*?)</form>", path.read_text(encoding="utf-8"), re.DOTALL)
    ]


def test_every_form_says_how_it_is_sent_and_none_with_a_secret_goes_into_an_address() -> None:
    found = forms()
    assert {"sign_in/sign_in.html", "sign_in/account.html"} <= {name for name, _, _ in found}
    for name, tag, inside in found:
        assert re.search(r'method="(?:get|post)"', tag), (name, tag)
        if SECRET.search(inside) or name.startswith("sign_in/"):
            assert 'method="post"' in tag, (name, tag)


@pytest.mark.parametrize("page", PAGES)
def test_a_form_that_its_script_did_not_send_leads_back_and_is_not_read(tmp_path: Path, page: str) -> None:
    door = FrontDoor.at(tmp_path / "store")
    settings = ApiSettings(origin=door.site.origin, log=False)
    service = Service(store=door.store, settings=settings, key=os.urandom(32), clock=door.clock, limits=Limits())
    app = bounded(create_app(service, door.site))

    async def send() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url=ORIGIN) as client:
            return await client.post(page, data={"handle": "ana", "password": "secret words", "code": "123456"})

    with ThreadPoolExecutor(1) as threads:
        answer = threads.submit(lambda: asyncio.run(send())).result()
    assert (answer.status_code, answer.headers["location"], answer.content) == (303, page, b"")
    assert "set-cookie" not in answer.headers
