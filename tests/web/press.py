"""A published release behind a real server, for tests of public pages and of pages of privacy officers: the table of `tests.publishing`, without a worker."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from sqlalchemy import select
from tests.publishing import PressRoom, drawn_room, published_room
from tests.service.api.conftest import Caller

from casehaven.api import bounded, create_app
from casehaven.core.limits import Limits
from casehaven.core.service_tables import job
from casehaven.core.web import ApiSettings, Service
from casehaven.organisations import members
from casehaven.organisations.roles import Role
from casehaven.signin.sessions import start_session, step_up_session


@dataclass(kw_only=True)
class Press:
    """A served room, and the callers in it. Jobs stay queued: tests read what was asked for, or let the room do it."""

    room: PressRoom
    origin: str
    release: str
    record: str | None
    _clients: list[httpx.Client] = field(default_factory=list)

    def client(self) -> httpx.Client:
        """Nobody signed in."""
        made = httpx.Client(base_url=self.origin.replace("localhost", "127.0.0.1"), timeout=60)
        self._clients.append(made)
        return made

    def caller(self, handle: str, *, stepped_up: bool = True) -> Caller:
        """Begin a session of somebody of the room."""
        door = self.room.table.door
        with door.store.writing() as connection:
            member = members.member_named(connection, handle)
            value = start_session(connection, door.clock(), member.id, kind="full")
            if stepped_up:
                value = step_up_session(connection, door.clock(), value) or ""
        return Caller(
            http=self.client(), handle=handle, organisation=member.organisation, session=value, origin=self.origin
        )

    @property
    def officer(self) -> Caller:
        """The privacy officer of north, with a fresh second factor."""
        return self.caller(self.room.officer.handle)

    @property
    def steward(self) -> Caller:
        """The steward of north, with a fresh second factor."""
        return self.caller(self.room.table.stewards["north"].handle)

    @property
    def colleague(self) -> Caller:
        """Another steward of north, who is no privacy officer."""
        door = self.room.table.door
        with door.store.writing() as connection:
            if "colleague" not in {one.handle for one in members.members_of(connection, "north")}:
                made = members._add(connection, door.clock(), "north", "colleague", "")
                members._give(connection, door.clock(), made, "north", "colleague", Role.STEWARD, "")
                members.activate(connection, door.clock(), members.member_by_id(connection, made))
        return self.caller("colleague")

    def asked(self, kind: str) -> dict[str, Any]:
        """What the newest job of a kind asks for."""
        query = select(job.c.request).where(job.c.kind == kind).order_by(job.c.sequence.desc())
        with self.room.table.door.store.reading() as connection:
            text = connection.scalar(query)
        assert text is not None, f"no job of the kind {kind}"
        found: dict[str, Any] = json.loads(text)
        return found


@contextmanager
def served_press(folder: Path, base: Path, *, published: bool = True, public: bool = True) -> Iterator[Press]:
    """Serve a copy of the room in which a release was drawn, or published.

    Args:
        folder: for the copy.
        base: of all temporary files of this process.
        published: whether it was published.
        public: whether the registry is for everybody.
    """
    pooled = (published_room(base) if published else drawn_room(base)).again(folder)
    door = pooled.room.table.door
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    origin = f"http://localhost:{listening.getsockname()[1]}"
    door.site = replace(door.site, origin=origin)
    service = Service(
        store=door.store,
        settings=ApiSettings(origin=origin, log=False, registry_public=public),
        key=os.urandom(32),
        clock=door.clock,
        limits=Limits(),
    )
    server = uvicorn.Server(uvicorn.Config(bounded(create_app(service, door.site)), log_config=None, lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    press = Press(room=pooled.room, origin=origin, release=pooled.release, record=pooled.record)
    try:
        while not server.started:
            assert thread.is_alive(), "the server did not start"
            time.sleep(0.01)
        yield press
    finally:
        for client in press._clients:
            client.close()
        server.should_exit = True
        thread.join()
        listening.close()
