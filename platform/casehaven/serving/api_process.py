"""The api as a process: uvicorn on one address, and beside it health and metrics on loopback.

1. It listens on localhost. Another address is refused without a certificate or a declared proxy: nobody signs in over a plain network.
2. Health and metrics have a port of their own on loopback; the public port does not answer them.
3. How many connections an address may hold, and how long one may be silent: `casehaven.serving.connections`. Behind a proxy, nobody else is let in.
4. Nothing is logged but `casehaven.core.logs`: uvicorn's own lines would quote paths.
"""

from __future__ import annotations

import contextlib
import fcntl
import ipaddress
import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from socket import socket
from types import FrameType

import uvicorn
from sqlalchemy import func, select
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Route

from casehaven.api import bounded, create_app
from casehaven.core.boundary import Metrics
from casehaven.core.errors import DatabaseError
from casehaven.core.limits import Limits
from casehaven.core.logs import log_line
from casehaven.core.service_store import ServiceStore
from casehaven.core.service_tables import job
from casehaven.core.web import UPLOAD_BYTES, ApiSettings, Service
from casehaven.organisations.models import member
from casehaven.serving.connections import Connections, bounded_protocol
from casehaven.serving.connections import listening as open_sockets
from casehaven.serving.errors import AddressTakenError, OpenAddressError
from casehaven.serving.folder import api_key
from casehaven.signin.sign_in_key import SignInKey
from casehaven.signin.site import Site

KEEP_ALIVE_SECONDS = 30


@dataclass(frozen=True, kw_only=True)
class Listening:
    """Where the api listens, and how people reach it."""

    host: str = "127.0.0.1"
    port: int = 8470
    status_port: int = 8471
    origin: str = "http://localhost:8470"
    certificate: Path | None = None
    private_key: Path | None = None
    proxy: str | None = None
    """Address of the proxy in front, which speaks HTTPS and says whom it speaks for."""
    upload_bytes: int = UPLOAD_BYTES
    assertions: bool = False
    """Whether the worker, another user, asks for signatures of members with a passkey."""
    registry_public: bool = True
    """Whether the registry is for everybody."""

    def __post_init__(self) -> None:
        """Check the address and the proxy's (rule 1).

        Raises:
            OpenAddressError: others would reach the service without HTTPS, or the proxy has no address.
        """
        Connections(proxy=self.proxy)
        if not is_loopback(self.host) and self.certificate is None and self.proxy is None:
            raise OpenAddressError(
                f"{self.host} can be reached by others: it needs --certificate and --private-key, or --behind-proxy"
            )


def is_loopback(host: str) -> bool:
    """Whether only this computer reaches an address.

    >>> is_loopback("127.0.0.1"), is_loopback("::1"), is_loopback("0.0.0.0"), is_loopback("localhost")
    (True, True, False, True)
    """
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def service_of(
    store: ServiceStore, listening: Listening, *, wake: Callable[[], None] = lambda: None
) -> tuple[Service, Site]:
    """Return what the routes and sign-in work with; makes the api's keys in a store without members.

    Args:
        store: the service store.
        listening: how people reach it.
        wake: tells the worker that a job waits; without it the worker finds the job when it looks next.

    Raises:
        SignInKeyError: `signin.key` is missing although there are members, or is not as it should be.
    """
    with store.reading() as connection:
        empty = connection.execute(select(member.c.id).limit(1)).first() is None
    site = Site(
        database=store.database,
        key=SignInKey.load_or_create(store.folder / "signin.key", create=empty),
        origin=listening.origin,
    )
    settings = ApiSettings(
        origin=listening.origin,
        upload_bytes=listening.upload_bytes,
        assertions=listening.assertions,
        registry_public=listening.registry_public,
    )
    service = Service(
        store=store,
        settings=settings,
        key=api_key(store.folder),
        clock=lambda: int(time.time()),
        limits=Limits(),
        wake=wake,
    )
    return service, site


def serve_api(service: Service, site: Site, listening: Listening) -> None:
    """Serve until a signal ends the process."""
    metrics, connections = Metrics(), Connections(proxy=listening.proxy)
    config = uvicorn.Config(
        bounded(create_app(service, site), metrics),
        loop="asyncio",
        http=bounded_protocol(connections),
        host=listening.host,
        port=listening.port,
        log_config=None,
        log_level="critical",
        access_log=False,
        server_header=False,
        lifespan="off",
        proxy_headers=listening.proxy is not None,
        forwarded_allow_ips=listening.proxy,
        ssl_certfile=listening.certificate,
        ssl_keyfile=listening.private_key,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=10,
        h11_max_incomplete_event_size=64 * 1024,
    )
    try:
        sockets = open_sockets(listening.host, listening.port, connections)
    except OSError:
        raise AddressTakenError(f"{listening.host} port {listening.port} cannot be listened on") from None
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _end)  # uvicorn ends in order, then raises the signal again: what follows here has to run
    log_line("api.started")
    with contextlib.suppress(SystemExit):
        _Api(config, _status_server(service.store, metrics, listening.status_port)).run(sockets)
    log_line("api.ended")


class _Api(uvicorn.Server):
    """A server whose health is told from when it listens, not before."""

    def __init__(self, config: uvicorn.Config, status: uvicorn.Server) -> None:
        super().__init__(config)
        self._status = status

    async def startup(self, sockets: list[socket] | None = None) -> None:
        await super().startup(sockets)
        threading.Thread(target=self._status.run, name="status", daemon=True).start()


def _end(_: int, __: FrameType | None) -> None:
    raise SystemExit(0)


def worker_runs(folder: Path) -> bool:
    """Whether a worker holds its lock."""
    try:
        descriptor = os.open(folder / "worker.lock", os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(descriptor)


def _status_server(store: ServiceStore, metrics: Metrics, port: int) -> uvicorn.Server:
    def health(_: Request) -> JSONResponse:
        try:
            with store.reading() as connection:
                connection.execute(select(func.count()).select_from(job).limit(1))
            found = {"store": "ok", "worker": "ok" if worker_runs(store.folder) else "gone"}
        except DatabaseError:
            found = {"store": "gone", "worker": "unknown"}
        return JSONResponse(found, 200 if set(found.values()) == {"ok"} else 503)

    def numbers(_: Request) -> PlainTextResponse:
        lines = metrics.lines()
        with store.reading() as connection:
            query = select(job.c.lane, job.c.state, func.count()).where(job.c.state.in_(("queued", "running")))
            found = connection.execute(query.group_by(job.c.lane, job.c.state)).all()
        lines.append("# TYPE casehaven_jobs gauge")
        lines += [f'casehaven_jobs{{lane="{lane}",state="{state}"}} {count}' for lane, state, count in sorted(found)]
        return PlainTextResponse("\n".join(lines) + "\n")

    app = Starlette(routes=[Route("/health", health), Route("/metrics", numbers)])
    return uvicorn.Server(
        uvicorn.Config(
            app,
            host="127.0.0.1",
            port=port,
            log_config=None,
            log_level="critical",
            access_log=False,
            server_header=False,
            lifespan="off",
        )
    )
