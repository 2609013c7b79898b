"""What browser tests share: Debian's Chromium, a showcase of made-up people on disk, and the rule that no page says or asks for anything else."""

from __future__ import annotations

import dataclasses
import importlib.resources
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright
from tests.made_synthesis import model_of, scale, synthesis_of
from tests.web.harbour import Harbour, furnished
from tests.web.pages import Reader, Window

from casehaven.generate import generate_population
from casehaven.signin.principal import SESSION_COOKIE
from caseschemas import CaseSchema, load_schema
from casesynth.domain import Domain
from casesynth.notes import ReleaseNotes
from casesynth.showcase import showcase_html
from casesynth.synthesis import Synthesis

if TYPE_CHECKING:
    from tests.service.api.conftest import Caller, House

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
NOTES = ReleaseNotes(title="Made-up people", created="2025-03-01", organisations=2, consent_applied=True)
CLASSES = 60
PATIENCE = 60_000
"""How long a test waits for what the page does, in milliseconds: another test may have the processor."""

expect.set_options(timeout=PATIENCE)

OpenPage = Callable[..., Page]
"""Opens a file; keyword arguments are those of a browser context."""


@pytest.fixture(scope="session")
def schema() -> CaseSchema:
    return load_schema("ctdc-global")


@pytest.fixture(scope="session")
def synthesis(schema: CaseSchema) -> Synthesis:
    """Made-up people of the whole schema, put into classes by country and form of exploitation."""
    domain = Domain.from_schema(schema)
    people = generate_population(6_000, 1).sort_values(["CountryOfExploitation", "isForcedLabour", "citizenship"])
    places = np.arange(len(people)) * CLASSES // len(people)
    shares = []
    for column in domain.columns:
        codes = people[column.name].astype(str).map({value: place for place, value in enumerate(column.values)})
        counts = np.zeros((column.size, CLASSES))
        np.add.at(counts, (codes.to_numpy(dtype=np.int64), places), 1)
        shares.append(counts + 0.02 * counts.sum(axis=1, keepdims=True) / CLASSES + 1e-7)
    return synthesis_of(domain, model_of(shares, np.ones(CLASSES)), scale(3))


@pytest.fixture(scope="session")
def showcase(synthesis: Synthesis, schema: CaseSchema, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The showcase as a file on disk."""
    path = tmp_path_factory.mktemp("showcase") / "showcase.html"
    path.write_text(showcase_html(synthesis, NOTES, schema), encoding="utf-8")
    return path


@pytest.fixture
def write_showcase(tmp_path: Path) -> Callable[..., Path]:
    """Write the showcase of a synthesis, with or without a schema."""

    def write(synthesis: Synthesis, schema: CaseSchema | None = None) -> Path:
        path = tmp_path / "other.html"
        path.write_text(showcase_html(synthesis, NOTES, schema), encoding="utf-8")
        return path

    return write


@pytest.fixture
def longer(synthesis: Synthesis) -> Synthesis:
    """The same synthesis with errors that are known for four values together."""
    return dataclasses.replace(synthesis, errors=scale(4))


@pytest.fixture
def shipped(request: pytest.FixtureRequest) -> tuple[Synthesis, CaseSchema]:
    """A synthesis over the shipped schema that a test names; classes lean to different values."""
    schema = load_schema(request.param)
    domain = Domain.from_schema(schema)
    random = np.random.default_rng(4)
    shares = [random.dirichlet(np.full(size, 0.3), size=4).T for size in domain.sizes]
    return synthesis_of(domain, model_of(shares, np.ones(4)), scale(3)), schema


@pytest.fixture
def plain(request: pytest.FixtureRequest) -> Synthesis:
    """A synthesis over the domain that a test names, without a schema; classes lean to different values."""
    domain: Domain = request.param
    random = np.random.default_rng(3)
    shares = [random.dirichlet(np.full(size, 0.8), size=5).T for size in domain.sizes]
    return synthesis_of(domain, model_of(shares, np.ones(5)), scale(3))


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium without a screen; skip where it is absent."""
    if not CHROMIUM.exists():
        pytest.skip("Debian's chromium is absent")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser: Browser, showcase: Path) -> Iterator[OpenPage]:
    """Open a page; at the end, nothing was asked from a network and nothing was said on the console."""
    asked: list[str] = []
    said: list[str] = []
    contexts = []

    def open_(path: Path = showcase, **context: Any) -> Page:
        made = browser.new_context(**({"locale": "en-GB", "viewport": {"width": 1280, "height": 900}} | context))
        contexts.append(made)
        page = made.new_page()
        page.set_default_timeout(PATIENCE)
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(path.as_uri())
        return page

    yield open_
    for context in contexts:
        context.close()
    assert [url for url in asked if not url.startswith(("file:", "blob:"))] == []
    assert said == []


@pytest.fixture(scope="session")
def axe() -> str:
    """The script that looks for barriers."""
    return importlib.resources.files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8")


WindowAs = Callable[..., Window]
"""Opens Chromium as a member: a `Caller` of the house; keyword arguments are those of a browser context, such as `color_scheme="dark"`, `locale="ar"`."""


@pytest.fixture(scope="session")
def house(served_house: House) -> House:
    """The running service with people in it that the tests of the api use: one for the whole process. Leave what you find: found an organisation of your own to change things."""
    return served_house


@pytest.fixture(scope="session")
def harbour(house: House) -> Harbour:
    """An organisation of its own in the house, for the pages of caseworkers and stewards."""
    return furnished(house.running)


@pytest.fixture
def reader() -> Callable[..., Reader]:
    """Read pages over HTTP as a member: `reader(house.north, language="ar").get("/home")`."""

    def made(caller: Caller, language: str = "en") -> Reader:
        return Reader(caller=caller, language=language)

    return made


@pytest.fixture
def window_as(browser: Browser, axe: str) -> Iterator[WindowAs]:
    """Open Chromium as a member; every window is closed and checked at the end."""
    opened: list[Window] = []

    def open_(caller: Caller | None, *, origin: str | None = None, **context: Any) -> Window:
        wanted: dict[str, Any] = {
            "locale": "en-GB",
            "viewport": {"width": 1280, "height": 900},
            "bypass_csp": True,
        } | context
        made = browser.new_context(**wanted)
        if caller is not None:
            origin = caller.origin
            secure = origin.replace("http:", "https:")  # or a cookie that is Secure could not be set from here
            made.add_cookies([{"name": SESSION_COOKIE, "value": caller.session, "url": secure, "secure": True}])
        assert origin is not None
        page = made.new_page()
        page.set_default_timeout(PATIENCE)
        window = Window(page=page, context=made, origin=origin, axe_script=axe)
        page.on("console", lambda message: window.said.append(message.text))
        page.on("pageerror", lambda error: window.said.append(str(error)))
        page.on(
            "request",
            lambda asked: None if asked.url.startswith(f"{window.origin}/") else window.elsewhere.append(asked.url),
        )
        opened.append(window)
        return window

    yield open_
    for window in opened:
        window.close()


@pytest.fixture
def screenshot() -> Callable[[Page, str], None]:
    """Keep a picture of a page for the guides where GUIDE_SCREENSHOTS names a folder; nothing otherwise."""

    def take(page: Page, name: str) -> None:
        folder = os.environ.get("GUIDE_SCREENSHOTS")
        if folder:
            page.screenshot(path=str(Path(folder) / f"{name}.png"))

    return take
