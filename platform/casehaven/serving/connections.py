"""Connections to the public port: whose, how many, and how long one may be silent.

1. An address holds at most `ADDRESS_MOST` connections (of IPv6: a network of 64 bits), and all addresses together `ALL_MOST`. One more is closed as soon as it is there.
2. A connection whose request's head is not there in `HEAD_SECONDS` is closed; so is one whose body stands still for as long, while the service waits for it. That begins before TLS does.
3. Behind a declared proxy every other peer is closed before a byte is read: nobody speaks to the service without HTTPS by going round the proxy. The proxy counts for all it speaks for, so rule 1's bound of
   an address does not hold for it; requests are counted by the address that it names.
4. What cannot be read as HTTP is refused as a problem with the headers of every answer, like anything else.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

import h11
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from casehaven.core.addresses import network_of
from casehaven.core.boundary import HEADERS
from casehaven.core.problems import MEDIA_TYPE, Problem
from casehaven.serving.errors import OpenAddressError

ADDRESS_MOST: Final = 100
"""Connections of one address; a browser opens six, and people of an office share one address."""
ALL_MOST: Final = 1_000
"""Connections of all addresses."""
HEAD_SECONDS: Final = 10.0
_TURNED_AWAY: Final = 64


@dataclass
class Connections:
    """The connections of one process. Its event loop alone touches it."""

    proxy: str | None = None
    """The only peer that is let in, as an address; None: everybody."""
    address_most: int = ADDRESS_MOST
    all_most: int = ALL_MOST
    head_seconds: float = HEAD_SECONDS
    _of: Counter[str] = field(default_factory=Counter, repr=False)
    _speaking: dict[int, asyncio.TimerHandle] = field(default_factory=dict, repr=False)
    """By the number of a descriptor: what ends the connection unless its first head comes."""

    def __post_init__(self) -> None:
        """Check the proxy's address.

        Raises:
            OpenAddressError: it is none.
        """
        if self.proxy is not None:
            try:
                self.proxy = str(ipaddress.ip_address(self.proxy))
            except ValueError:
                raise OpenAddressError("--behind-proxy names one address, such as 127.0.0.1") from None

    @property
    def count(self) -> int:
        """How many there are."""
        return self._of.total()

    def takes(self, address: str) -> bool:
        """Count a connection and return True, or return False where it is one too many (rules 1 and 3)."""
        plain = _plain(address)
        if self.proxy is not None and plain != self.proxy:
            return False
        whose = network_of(plain)
        if self.count >= self.all_most or (self.proxy is None and self._of[whose] >= self.address_most):
            return False
        self._of[whose] += 1
        return True

    def gone(self, address: str) -> None:
        """Count a connection no more."""
        whose = network_of(_plain(address))
        self._of[whose] -= 1
        if self._of[whose] <= 0:
            del self._of[whose]

    def began(self, connection: socket.socket) -> None:
        """Close a connection unless its first head comes in time (rule 2)."""
        loop = asyncio.get_running_loop()
        self._speaking[connection.fileno()] = loop.call_later(self.head_seconds, _shut, connection)

    def spoke(self, number: int) -> None:
        """Note that the first head of a connection came, or that it is gone."""
        timer = self._speaking.pop(number, None)
        if timer is not None:
            timer.cancel()


def _shut(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):  # the other side was faster
        connection.shutdown(socket.SHUT_RDWR)


def _plain(address: str) -> str:
    """Return an address as text, IPv4 that came by IPv6 as IPv4.

    >>> _plain("::ffff:192.0.2.1"), _plain("fe80::1%eth0"), _plain("")
    ('192.0.2.1', 'fe80::1', '')
    """
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return str(found if mapped is None else mapped)


class _Accepted(socket.socket):
    """A connection that is counted until it is closed."""

    connections: Connections
    address: str = ""

    def close(self) -> None:
        """Close it, and count it no more."""
        if self.address:
            self.connections.spoke(self.fileno())
            self.connections.gone(self.address)
            self.address = ""
        super().close()


class BoundedSocket(socket.socket):
    """A socket that listens, and takes the connections that `Connections` lets in."""

    connections: Connections

    def accept(self) -> tuple[socket.socket, Any]:
        """Return the next connection that is let in.

        Raises:
            BlockingIOError: none waits, or many were turned away one after the other.
        """
        for _ in range(_TURNED_AWAY):
            number, peer = self._accept()  # type: ignore[attr-defined]  # what socket.accept itself calls; there is no public way to a subclass
            made = _Accepted(self.family, self.type, self.proto, fileno=number)
            if self.connections.takes(peer[0]):
                made.connections, made.address = self.connections, peer[0]
                self.connections.began(made)
                return made, peer
            made.close()
        raise BlockingIOError  # others have their turn before more are turned away


def listening(host: str, port: int, connections: Connections) -> list[socket.socket]:
    """Return sockets that listen on every address of a host.

    Args:
        host: a name or an address.
        port: which.
        connections: bounds what they take.

    Raises:
        OSError: the port is taken, or the host has no such address.
    """
    made: list[socket.socket] = []
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    for family, kind, protocol, place in dict.fromkeys((one[0], one[1], one[2], one[4]) for one in found):
        one = BoundedSocket(family, kind, protocol)
        one.connections = connections
        made.append(one)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        try:
            one.bind(place)
        except OSError:
            for other in made:
                other.close()
            raise
    return made


def bounded_protocol(connections: Connections) -> type[H11Protocol]:
    """Return uvicorn's protocol with the bounds of rule 2.

    Args:
        connections: of the sockets that it serves.
    """

    class BoundedProtocol(H11Protocol):
        """HTTP/1.1 with an end to every silence of the other side."""

        def __init__(
            self,
            config: Config,
            server_state: ServerState,
            app_state: dict[str, Any],
            _loop: asyncio.AbstractEventLoop | None = None,
        ) -> None:
            super().__init__(config, server_state, app_state, _loop)
            self._silence: asyncio.TimerHandle | None = None
            self._number = -1

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn's own
            super().connection_made(transport)
            plain = transport.get_extra_info("socket")
            self._number = -1 if plain is None else plain.fileno()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self._listen()

        def on_response_complete(self) -> None:
            super().on_response_complete()
            self._listen()

        def connection_lost(self, exc: Exception | None) -> None:
            self._hush()
            super().connection_lost(exc)

        def send_400_response(self, msg: str) -> None:
            problem = Problem(status=400, code="request", title="the request cannot be used as it is")
            fields = {**HEADERS, "content-type": MEDIA_TYPE, "connection": "close"}
            head = [(name.encode(), value.encode()) for name, value in fields.items()]
            with contextlib.suppress(h11.LocalProtocolError):  # an answer has begun already
                self.transport.write(self.conn.send(h11.Response(status_code=400, headers=head)) or b"")
                self.transport.write(self.conn.send(h11.Data(data=problem.body())) or b"")
                self.transport.write(self.conn.send(h11.EndOfMessage()) or b"")
            self.transport.close()

        def _listen(self) -> None:
            """Watch over the head of a request that has begun, and over a body that is waited for."""
            state = self.conn.their_state
            if state is not h11.IDLE:
                connections.spoke(self._number)
            begun = state is h11.IDLE and bool(self.conn.trailing_data[0])
            if begun and self._silence is not None and self._silence_of == "head":
                return  # a head that comes byte by byte has no longer than one that comes at once
            self._hush()
            if begun or state is h11.SEND_BODY:
                self._silence_of = "head" if begun else "body"
                self._silence = self.loop.call_later(connections.head_seconds, self._silent)

        def _silent(self) -> None:
            self._silence = None
            if self.flow.read_paused:  # the service itself does not read: it is not the other side that is silent
                self._listen()
            else:
                self.transport.abort()

        def _hush(self) -> None:
            if self._silence is not None:
                self._silence.cancel()
                self._silence = None

        _silence_of = ""

    return BoundedProtocol
