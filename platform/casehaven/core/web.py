"""What the routes have in common: the service behind a request, and the base of every body."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Final

from fastapi import Depends, Request
from pydantic import BaseModel, ConfigDict

from casehaven.core.limits import Limits
from casehaven.core.service_store import ServiceStore
from casehaven.core.upload_room import UploadRoom
from casehaven.organisations.access import Principal

BODY_BYTES: Final = 256 * 1024
"""The most that a JSON body may hold."""
UPLOAD_BYTES: Final = 256 * 1024 * 1024
"""The most that an uploaded file may hold, by default."""


@dataclass(frozen=True, kw_only=True)
class ApiSettings:
    """How the api is reached, and its bounds."""

    origin: str
    """Scheme, name and port that people type, such as `http://localhost:8470`."""
    upload_bytes: int = UPLOAD_BYTES
    log: bool = True
    """Whether a line is written for each request."""
    registry_public: bool = True
    """Whether the registry is for everybody; else for whoever is signed in."""
    assertions: bool = False
    """Whether members with a passkey sign jobs that need a second factor: where the worker is another user."""


@dataclass(frozen=True, kw_only=True)
class Service:
    """What a route has beside its request."""

    store: ServiceStore
    settings: ApiSettings
    key: bytes = field(repr=False)
    """Of the api alone: HMACs of requests under idempotency keys, and of cursors."""
    clock: Callable[[], int]
    limits: Limits
    monotonic: Callable[[], float] = time.monotonic
    """Seconds of a clock that nobody sets: what visitors are counted by."""
    room: UploadRoom = field(default_factory=UploadRoom)
    """What of the disk uploads may take."""
    wake: Callable[[], None] = lambda: None
    """Tells the worker that a job waits, where that is possible."""


class Body(BaseModel):
    """A JSON body: only the fields that are declared, each of its own type."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


def service_of(request: Request) -> Service:
    """Return the service behind a request."""
    found = request.app.state.service
    assert isinstance(found, Service)
    return found


def principal_of(request: Request) -> Principal:
    """Return who asks; the guard of the route found that out before the handler was called."""
    found = request.state.principal
    assert isinstance(found, Principal)
    return found


Here = Annotated[Service, Depends(service_of)]
Who = Annotated[Principal, Depends(principal_of)]
