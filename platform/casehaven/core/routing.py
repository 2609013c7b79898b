"""Routes that refuse before they read: who asks and whether they may is decided before a body or a parameter is looked at.

1. Every route says which operation it is, or that it is open to all. One that says neither is refused when the service starts.
2. The guard asks who it is, then whether the operation is allowed on `{organisation}` and `{dataset}` of the path. A path without an organisation is about the principal's own
   things, or about the deployment where the route says so.
3. What is not allowed is answered as `casehaven.organisations.access` says: 404 for what belongs to others, whether or not it is there.
4. An open route spends a visitor's limit, once for each request that came from outside: what a page asks within it is part of it. Whoever is signed in spends none, and neither does a file
   of the pages, which a browser keeps.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final, Literal

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.routing import APIRoute

from casehaven.core.addresses import network_of
from casehaven.core.web import service_of
from casehaven.organisations.access import DEPLOYMENT, Operation, Principal, require
from casehaven.organisations.errors import NotSignedInError

OPERATION: Final = "x-casehaven-operation"
REACH: Final = "x-casehaven-reach"
PROBLEMS: Final = "x-casehaven-problems"
OPEN: Final = "open"
UNCOUNTED: Final = "x-casehaven-uncounted"
COUNTED: Final = "visit_counted"
"""In the state of a request that was counted, and of what a page asks within it (rule 4)."""

RouteReach = Literal["path", "any", "deployment"]
"""`path`: the organisation of the path; `any`: no single object, the handler filters; `deployment`: the deployment's."""

_ALWAYS: Final = ("rate-limited", "internal")
_GUARDED: Final = ("not-signed-in", "cross-site", "forbidden")


class GuardedRoute(APIRoute):
    """A route with its guard."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Put the guard in front of the handler."""
        inner = super().get_route_handler()
        said = self.openapi_extra or {}
        operation, reach = said.get(OPERATION), said.get(REACH, "any")
        if operation == OPEN:
            return inner if said.get(UNCOUNTED) else _counted(inner)
        wanted = Operation(str(operation))

        async def guarded(request: Request) -> Response:
            request.state.principal = await run_in_threadpool(_guard, request, wanted, reach)
            return await inner(request)

        return guarded


def _counted(
    inner: Callable[[Request], Coroutine[Any, Any, Response]],
) -> Callable[[Request], Coroutine[Any, Any, Response]]:
    """Count a visitor before an open route (rule 4)."""

    async def counted(request: Request) -> Response:
        if not getattr(request.state, COUNTED, False):
            setattr(request.state, COUNTED, True)
            await _count_visit(request)
        return await inner(request)

    return counted


async def _count_visit(request: Request) -> None:
    from casehaven.signin.principal import carries_credential, is_known

    if carries_credential(request) and await run_in_threadpool(is_known, request):
        return
    service = service_of(request)
    address = network_of(request.client.host if request.client is not None else "")
    service.limits.spend("visitor", address, service.monotonic())


def _guard(request: Request, operation: Operation, reach: RouteReach) -> Principal:
    from casehaven.signin.principal import current_principal

    service = service_of(request)
    address = network_of(request.client.host if request.client is not None else "")
    now = float(service.clock())
    try:
        principal = current_principal(request)
    except NotSignedInError:
        service.limits.spend("signed-out", address, now)
        raise
    service.limits.spend("member", principal.member_id, now)
    path = request.path_params
    whose = DEPLOYMENT if reach == "deployment" else path.get("organisation")
    require(principal, operation, whose, dataset=path.get("dataset"))
    return principal


class GuardedRouter(APIRouter):
    """A router all of whose routes are guarded.

    >>> router = GuardedRouter()
    >>> @router.get("/v1/things", operation=Operation.DATASET_LIST)
    ... def things() -> list[str]:
    ...     return []
    >>> router.routes[0].openapi_extra["x-casehaven-operation"]
    'dataset.list'
    """

    def __init__(self, **options: Any) -> None:
        """Make an empty router."""
        super().__init__(route_class=GuardedRoute, **options)

    def get(self, path: str, **options: Any) -> Callable[..., Any]:
        """Declare a route that reads; options as for `declare`."""
        return super().get(path, **declare(path, **options))

    def post(self, path: str, **options: Any) -> Callable[..., Any]:
        """Declare a route that makes something; options as for `declare`."""
        return super().post(path, **declare(path, **options))

    def put(self, path: str, **options: Any) -> Callable[..., Any]:
        """Declare a route that sets something; options as for `declare`."""
        return super().put(path, **declare(path, **options))

    def patch(self, path: str, **options: Any) -> Callable[..., Any]:
        """Declare a route that changes something; options as for `declare`."""
        return super().patch(path, **declare(path, **options))

    def delete(self, path: str, **options: Any) -> Callable[..., Any]:
        """Declare a route that ends something; options as for `declare`."""
        return super().delete(path, **declare(path, **options))


def declare(
    path: str,
    *,
    operation: Operation | None = None,
    open_to_all: bool = False,
    uncounted: bool = False,
    reach: RouteReach | None = None,
    problems: Sequence[str] = (),
    **options: Any,
) -> dict[str, Any]:
    """Return FastAPI's options of a route with what the guard needs.

    Args:
        path: of the route.
        operation: what it does.
        open_to_all: nobody needs to be signed in.
        uncounted: of an open one: visitors are not counted.
        reach: on whose things; by default those of the path's organisation where it has one.
        problems: codes that it can answer, beside those of every route; for the OpenAPI document.
        options: FastAPI's own.

    Raises:
        TypeError: it says neither an operation nor that it is open, or both.
    """
    if (operation is None) == (not open_to_all):
        raise TypeError(f"{path} must name an operation, or be open to all")
    own = "path" if "{organisation}" in path else "any"
    guarded = () if open_to_all else _GUARDED
    found = () if "{" not in path else ("not-found",)
    signed = ("assertion-needed", "job-assertion") if {"too-many-jobs", "step-up-needed"} <= {*problems} else ()
    said = {
        OPERATION: OPEN if operation is None else operation.value,
        REACH: own if reach is None else reach,
        PROBLEMS: sorted({*problems, *_ALWAYS, *guarded, *found, *signed}),
        **({UNCOUNTED: True} if uncounted else {}),
    }
    return {**options, "openapi_extra": {**options.get("openapi_extra", {}), **said}}


def check_declared(router: APIRouter) -> None:
    """Refuse a router with a route that nobody guards (rule 1).

    Raises:
        TypeError: names the route.
    """
    for route in router.routes:
        if not isinstance(route, GuardedRoute) or OPERATION not in (route.openapi_extra or {}):
            raise TypeError(f"{getattr(route, 'path', 'a route')} names no operation, and is not open to all")
