"""The web-facing process: every route of every area, behind one boundary.

1. It opens the service store and nothing else: no vault, no keystore, no ledger. Importing it loads no code of the ledger, and of the vault the sealing alone (`context`, `envelope`, `sealed`, `sealing_stream`,
   `errors`): functions of bytes that seal to a public key, or open with a key that the caller hands in. They read no file and know no keystore and no root key. What it imports late is no more than that, and a
   test checks both (`tests/test_imports.py`).
2. A route that says neither which operation it is nor that it is open to all keeps the app from starting.
3. Whatever is refused is a problem of RFC 9457; a body's faults are told by their places, never by what stood there.
"""

from __future__ import annotations

import importlib
from importlib.metadata import version
from typing import Any, Final

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from casehaven.core.boundary import TOO_LARGE, Boundary, Metrics
from casehaven.core.openapi import document
from casehaven.core.problems import MEDIA_TYPE, Problem, ProblemError, place_of, problem_of
from casehaven.core.request_errors import BodyError, BodyTooLargeError
from casehaven.core.routing import GuardedRouter, check_declared
from casehaven.core.web import BODY_BYTES, Service
from casehaven.errors import CasehavenError
from casehaven.organisations.errors import NotFoundError
from casehaven.signin.site import Site
from casehaven.web.problem_page import problem_page, wants_page

ROUTERS: Final = (
    "casehaven.signin.routes",
    "casehaven.organisations.routes",
    "casehaven.routes.jobs",
    "casehaven.routes.datasets",
    "casehaven.routes.uploads",
    "casehaven.routes.questions",
    "casehaven.routes.agreements",
    "casehaven.routes.people",
    "casehaven.routes.retention",
    "casehaven.routes.own_statistics",
    "casehaven.routes.releases",
    "casehaven.routes.drafts",
    "casehaven.routes.registry",
    "casehaven.routes.released",
    "casehaven.routes.budgets",
    "casehaven.routes.raises",
    "casehaven.routes.audit",
    "casehaven.web.assets",
    "casehaven.web.home",
    "casehaven.web.sign_in_pages",
    "casehaven.web.job_pages",
    "casehaven.web.training_pages",
    "casehaven.web.organisation_pages",
    "casehaven.web.token_pages",
    "casehaven.web.members_pages",
    "casehaven.web.welcome",
    "casehaven.web.grants_pages",
    "casehaven.web.datasets_page",
    "casehaven.web.uploading",
    "casehaven.web.people_pages",
    "casehaven.web.duplicates_page",
    "casehaven.web.retention_pages",
    "casehaven.web.intakes_page",
    "casehaven.web.agreement_pages",
    "casehaven.web.statistics_page",
    "casehaven.web.ledger_page",
    "casehaven.web.registry_pages",
    "casehaven.web.indicator_pages",
    "casehaven.web.comparison_pages",
    "casehaven.web.releases_pages",
    "casehaven.web.officer_pages",
    "casehaven.web.asking_pages",
    "casehaven.web.stored_answers",
)
"""Modules with a `router`."""

_SHOWN: Final = 5


def create_app(service: Service, site: Site) -> FastAPI:
    """Return the app with every route.

    Args:
        service: the store, the settings, the api's key.
        site: of sign-in; on the same store.

    Raises:
        TypeError: a route is declared without its operation.
    """
    app = FastAPI(title="Casehaven", version=version("casehaven"), openapi_url=None, docs_url=None, redoc_url=None)
    app.state.service = service
    app.state.site = site
    add_routes(app, _own)
    for module in ROUTERS:
        add_routes(app, importlib.import_module(module).router)
    app.add_exception_handler(CasehavenError, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(
        Exception, _refused
    )  # a fault of the program: answered here, then raised again for the boundary to log
    return app


def add_routes(app: FastAPI, router: APIRouter) -> None:
    """Add a router's routes to an app, each of them declared. (An included router would be one route that nobody looks into.)

    Raises:
        TypeError: a route names no operation, and is not open to all.
    """
    check_declared(router)
    app.router.routes.extend(router.routes)


def bounded(app: FastAPI, metrics: Metrics | None = None) -> ASGIApp:
    """Put the boundary around an app: what is served."""
    service: Service = app.state.service
    return Boundary(
        app=app,
        limits=service.limits,
        metrics=Metrics() if metrics is None else metrics,
        secure=service.settings.origin.startswith("https://"),
        log=service.settings.log,
    )


_own = GuardedRouter(tags=["service"])


@_own.get("/v1/openapi.json", open_to_all=True)
def openapi(request: Request) -> dict[str, Any]:
    """Return this document."""
    return document(request.app)


@_own.get("/v1", open_to_all=True)
def root(request: Request) -> dict[str, Any]:
    """Say which version this is."""
    return {"name": "casehaven", "api": "v1", "version": request.app.version}


def _answer(request: Request, problem: Problem) -> Response:
    if wants_page(request):
        return problem_page(request, problem)
    return JSONResponse(problem.document(), problem.status, dict(problem.headers()), media_type=MEDIA_TYPE)


def _refused(request: Request, error: Exception) -> Response:
    return _answer(request, error.problem if isinstance(error, ProblemError) else problem_of(error))


def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    faults = []
    for fault in error.errors()[:_SHOWN]:
        location = tuple(fault["loc"])
        if fault["type"] == "extra_forbidden":  # a name that the sender made up
            location = (*location[:-1], "?")
        faults.append(f"{place_of(location)}: {fault['type'].replace('_', ' ')}")
    return _answer(request, problem_of(BodyError("; ".join(faults))))


def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if getattr(request.state, TOO_LARGE, False):
        return _answer(request, problem_of(BodyTooLargeError(f"the body is larger than {BODY_BYTES} bytes")))
    if error.status_code == 404:
        return _answer(request, problem_of(NotFoundError()))
    code = {405: "method-not-allowed", 400: "request"}.get(error.status_code, "request")
    titles = {"method-not-allowed": "this route has no such method", "request": "the request cannot be used as it is"}
    answer = _answer(request, Problem(status=error.status_code, code=code, title=titles[code]))
    allow = (error.headers or {}).get("Allow")
    if allow is not None:
        answer.headers["Allow"] = allow
    return answer
