"""Routers of pages: each page is open, because it asks the routes, which are guarded, and no page is in the OpenAPI document."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from casehaven.core.routing import GuardedRouter


class PageRouter(GuardedRouter):
    """A router of pages.

    >>> router = PageRouter()
    >>> @router.get("/things")
    ... async def things() -> None:
    ...     return None
    >>> router.routes[0].openapi_extra["x-casehaven-operation"], router.routes[0].include_in_schema
    ('open', False)
    """

    def __init__(self) -> None:
        """Make an empty router."""
        super().__init__(include_in_schema=False)

    def get(self, path: str, **options: Any) -> Callable[..., Any]:
        """Declare a page that reads."""
        return super().get(path, open_to_all=True, response_model=None, **options)

    def post(self, path: str, **options: Any) -> Callable[..., Any]:
        """Declare where a page's form is sent."""
        return super().post(path, open_to_all=True, response_model=None, **options)
