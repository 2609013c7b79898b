"""A page's desk: who reads, in which language, and the service behind it. Every page begins with one.

1. `desk_of` is for members who are signed in: others are led to the page of sign-in. `open_desk_of` is for everybody.
2. What the routes refuse, and the page does not look at itself, becomes a page of its own (`casehaven.web.problem_page`).
3. Every page has the headers of `HEADERS`: nothing from elsewhere, no frame, nothing kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Final

from fastapi import Depends, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from casehaven.core.web import service_of
from casehaven.organisations.errors import ForbiddenError, NotSignedInError
from casehaven.web.backend import Answer, Backend, place
from casehaven.web.forms import Form, blank_form, read_form
from casehaven.web.navigation import Entry, entries
from casehaven.web.render import marked, rendered
from casehaven.web.words import LANGUAGE_COOKIE, LANGUAGES, Words, words_of

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "Cache-Control": "no-store",
    "Referrer-Policy": "same-origin",
}
"""Rule 3. With `no-referrer` a browser would send the forms of these pages with `Origin: null`; to another origin nothing is told either way."""

LANGUAGE_SECONDS: Final = 365 * 86_400


@dataclass
class Desk:
    """One request for a page."""

    request: Request
    backend: Backend
    words: Words
    session: Mapping[str, Any] | None = None
    """What `GET /v1/session` says; None where nobody is signed in."""
    operations: frozenset[str] = frozenset()
    """What the reader may do, as `GET /v1/principal` lists it."""
    datasets: tuple[str, ...] = ()
    """Datasets that were granted to the reader, `organisation/name`."""
    form: Form | None = field(default=None, repr=False)
    """What was sent, once it was read."""

    # --- who ---

    @property
    def handle(self) -> str:
        """The reader's handle; empty where nobody is signed in."""
        return str(self.session["handle"]) if self.session else ""

    @property
    def organisation(self) -> str:
        """The reader's organisation; empty where nobody is signed in."""
        return str(self.session["organisation"]) if self.session else ""

    @property
    def roles(self) -> tuple[str, ...]:
        """The reader's roles, sorted."""
        return tuple(self.session["roles"]) if self.session else ()

    @property
    def origin(self) -> str:
        """Scheme, name and port of the service, as people type them."""
        return service_of(self.request).settings.origin

    @property
    def registry_public(self) -> bool:
        """Whether the registry is for everybody, and search engines may find it."""
        return service_of(self.request).settings.registry_public

    def may(self, operation: str) -> bool:
        """Tell whether the reader has a right of this operation, whatever it reaches: for what is shown; the route decides."""
        return operation in self.operations

    def require(self, operation: str) -> None:
        """Refuse a page that asks no route by itself, such as an empty form.

        Raises:
            ForbiddenError: the reader has no right of this operation.
        """
        if not self.may(operation):
            raise ForbiddenError

    @property
    def menu(self) -> list[Entry]:
        """Where the reader can go."""
        return entries(self.operations, self.session is not None, self.request.app, self.request.url.path)

    # --- asking the service ---

    async def get(self, template: str, *parts: str, **query: str | int | None) -> Any:
        """Read from a route; returns its JSON.

        Raises:
            ProblemError: it was refused.
        """
        return (await self.backend.call("GET", place(template, *parts, **query))).checked().body

    async def ask(
        self, method: str, template: str, *parts: str, body: Any = None, key: str = "", wait: int = 0
    ) -> Answer:
        """Call a route that changes something; the answer may be a refusal (`answer.problem`), and the page decides."""
        return await self.backend.call(method, place(template, *parts), body, key=key, wait=wait)

    # --- forms ---

    async def sent(self) -> Form:
        """Read what the page's own form sent; a second factor in it is given first.

        Raises:
            CrossSiteError: it was not sent by a page of this service under this session.
            FormError, BodyTooLargeError: it cannot be read.
            ProblemError: the second factor was refused.
        """
        self.form = await read_form(self.request, "" if self.session is None else str(self.session["page_value"]))
        self.backend.page_value, self.backend.assertion = self.form.page_value, self.form.assertion
        if self.form.factor:
            given = await self.ask("POST", "/v1/session/step-up", body={"code": self.form.factor})
            self.session = given.checked().body
            self.backend.page_value = self.form.page_value = str(given.body["page_value"])
        return self.form

    def blank(self, **values: str) -> Form:
        """Return an empty form, or one with values to begin with."""
        return blank_form("" if self.session is None else str(self.session["page_value"]), values)

    # --- answering ---

    def page(self, template: str, *, status: int = 200, **shown: Any) -> Response:
        """Answer with a page.

        Args:
            template: below `templates/`.
            status: of the answer.
            shown: what the template shows, beside `desk`, `t` (words as markup) and `text` (words for attributes).
        """
        html = marked(rendered(template, desk=self, **shown), self)
        return self._finished(HTMLResponse(html, status, HEADERS))

    def to(self, path: str) -> Response:
        """Lead on to a page that reads, after something was done."""
        return self._finished(RedirectResponse(path, 303, HEADERS))

    def to_job(self, answer: Answer, *, then: str = "", back: str = "") -> Response:
        """Lead on to the page of a job.

        Args:
            answer: of the route that made it.
            then: path of this service where its result is shown; `{job}` stands for its id.
            back: path where the reader can try again when it fails.

        Raises:
            ProblemError: the route refused.
        """
        answer.checked()
        assert answer.job is not None, "the route makes no job"
        return self.to(place("/jobs/{}", answer.job, then=then or None, back=back or None))

    def file(self, content: bytes, *, name: str, media_type: str) -> Response:
        """Answer with a file for the reader to keep.

        Args:
            content: of the file.
            name: plain letters, digits, dots and dashes; no case value.
            media_type: what it is.
        """
        headers = {**HEADERS, "Content-Disposition": f'attachment; filename="{name}"'}
        return self._finished(Response(content, 200, headers, media_type=media_type))

    def _finished(self, response: Response) -> Response:
        for line in self.backend.cookies:
            response.headers.append("set-cookie", line)
        if self.request.query_params.get("lang", "") in LANGUAGES:
            response.set_cookie(
                LANGUAGE_COOKIE,
                self.words.language.code,
                max_age=LANGUAGE_SECONDS,
                path="/",
                secure=True,
                httponly=True,
                samesite="lax",
            )
        return response


async def open_desk_of(request: Request) -> Desk:
    """Return the desk of whoever asks, signed in or not."""
    desk = Desk(request=request, backend=Backend(request), words=words_of(request))
    request.state.desk = desk
    if desk.backend.session:
        shown = await desk.ask("GET", "/v1/session")
        if shown.status == 200 and shown.body["kind"] == "full":
            who = await desk.get("/v1/principal")
            desk.session, desk.operations = shown.body, frozenset(who["operations"])
            desk.datasets = tuple(who["datasets"])
            desk.backend.page_value = str(shown.body["page_value"])
        elif shown.status == 200:
            request.state.enrolling = True
    return desk


async def desk_of(request: Request) -> Desk:
    """Return the desk of a member who is signed in.

    Raises:
        NotSignedInError: nobody is.
    """
    desk = await open_desk_of(request)
    if desk.session is None:
        raise NotSignedInError
    return desk


Signed = Annotated[Desk, Depends(desk_of)]
"""For pages of members."""
Anybody = Annotated[Desk, Depends(open_desk_of)]
"""For pages of everybody."""
