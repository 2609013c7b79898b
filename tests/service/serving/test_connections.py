"""Silent, slow and too many connections, over real sockets: they end, and other visitors are served. Addresses of this computer (127.0.0.0/8) stand for other computers."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import Any

import pytest
import uvicorn
from hypothesis import given
from hypothesis import strategies as st

from casehaven.core.boundary import HEADERS
from casehaven.serving.connections import Connections, bounded_protocol, listening
from casehaven.serving.errors import OpenAddressError

HEAD_SECONDS = 0.4
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Read the body, wait as long as the path says, and tell how long the body was."""
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        size += len(message.get("body", b""))
        more = message.get("more_body", False)
    await asyncio.sleep(float(scope["path"].strip("/") or 0))
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
    await send({"type": "http.response.body", "body": b"%5d" % size})


@contextmanager
def server(head_seconds: float = HEAD_SECONDS, **bounds: Any) -> Iterator[tuple[int, Connections]]:
    """Serve on a port of its own while the block runs."""
    connections = Connections(head_seconds=head_seconds, **bounds)
    config = uvicorn.Config(
        application,
        loop="asyncio",
        http=bounded_protocol(connections),
        log_config=None,
        lifespan="off",
        proxy_headers=False,
        timeout_graceful_shutdown=1,
    )
    sockets = listening("127.0.0.1", 0, connections)
    port = int(sockets[0].getsockname()[1])
    found = uvicorn.Server(config)
    thread = threading.Thread(target=found.run, args=(sockets,))
    thread.start()
    until = time.monotonic() + 20
    while not found.started:
        assert time.monotonic() < until
        time.sleep(0.01)
    try:
        yield port, connections
    finally:
        found.should_exit = True
        thread.join()


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with server() as (found, _):
        yield found


def opened(port: int, address: str = "127.0.0.1") -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=20, source_address=(address, 0))


def said(connection: socket.socket) -> bytes:
    """Everything that the other side says until it closes."""
    found = b""
    try:
        while piece := connection.recv(65536):
            found += piece
    except ConnectionResetError:
        pass
    return found


def answered(port: int, address: str = "127.0.0.1") -> bool:
    with closing(opened(port, address)) as connection:
        try:
            connection.sendall(GET)
            return connection.recv(15).startswith(b"HTTP/1.1 200")
        except (ConnectionResetError, BrokenPipeError):
            return False


@pytest.mark.parametrize("sent", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: x\r\n"])
def test_a_head_that_does_not_come_closes_the_connection(port: int, sent: bytes) -> None:
    with closing(opened(port)) as connection:
        connection.sendall(sent)
        assert said(connection) == b""


@pytest.mark.parametrize("before", [b"", GET])
def test_a_head_that_comes_byte_by_byte_has_no_longer(port: int, before: bytes) -> None:
    """A byte each tenth of a second: it would take twenty seconds, and ends after less than one; also where it is not the first of its connection."""
    with closing(opened(port)) as connection:
        connection.sendall(before)
        answer = b""
        while before and not answer.endswith(b"    0"):
            answer += connection.recv(65536)
        sent = 0
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            for _ in range(200):
                connection.sendall(b"G" if sent else b"GET /")
                sent += 1
                time.sleep(0.1)
        assert sent < 200


def test_a_second_head_that_does_not_come_closes_the_connection_too(port: int) -> None:
    with closing(opened(port)) as connection:
        connection.sendall(GET + b"GET / HTTP/1.1\r\n")
        assert said(connection).count(b"200 OK") == 1


def test_a_body_that_stands_still_closes_the_connection(port: int) -> None:
    with closing(opened(port)) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc")
        assert said(connection) == b""


def test_a_slow_body_that_goes_on_and_a_slow_answer_are_waited_for() -> None:
    """The body takes longer than a silence may, and the answer too; each silence is a fifth of what is allowed."""
    with server(head_seconds=3.5) as (port, _), closing(opened(port)) as connection:
        connection.sendall(b"POST /3.7 HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 5\r\n\r\n")
        for _ in range(5):
            connection.sendall(b"x")
            time.sleep(0.75)
        assert said(connection).endswith(b"    5")


def test_what_is_no_http_is_refused_as_a_problem_with_every_header(port: int) -> None:
    with closing(opened(port)) as connection:
        connection.sendall(b"\x16\x03\x01\x02\x00 what\r\n\r\n")
        head, _, body = said(connection).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400")
    assert json.loads(body)["code"] == "request"
    for name, value in HEADERS.items():
        assert f"{name}: {value}".lower() in head.decode().lower()


def test_hundreds_of_silent_connections_of_one_address_keep_nobody_else_out() -> None:
    with server(address_most=20, all_most=500) as (port, connections), ExitStack() as stack:
        for _ in range(300):
            one = stack.enter_context(closing(opened(port, "127.0.7.7")))
            one.setblocking(False)
        assert answered(port, "127.0.0.1")
        assert answered(port, "127.0.8.8")
        assert connections.count <= 22
        until = time.monotonic() + 20
        while connections.count and time.monotonic() < until:
            time.sleep(0.05)
        assert connections.count == 0
        assert answered(port, "127.0.7.7")


def test_there_is_a_bound_for_all_addresses_together() -> None:
    with server(address_most=5, all_most=10) as (port, connections), ExitStack() as stack:
        for number in range(40):
            stack.enter_context(closing(opened(port, f"127.0.9.{1 + number}")))
        until = time.monotonic() + 20
        while connections.count > 10 and time.monotonic() < until:
            time.sleep(0.01)
        assert connections.count <= 10


def test_behind_a_proxy_every_other_peer_is_closed_before_it_says_a_word() -> None:
    with server(proxy="127.0.5.5", address_most=1) as (port, connections):
        with closing(opened(port, "127.0.0.1")) as connection:
            try:
                connection.sendall(GET)
                assert said(connection) == b""
            except (BrokenPipeError, ConnectionResetError):
                pass
        assert not answered(port, "127.0.5.6")
        with ExitStack() as stack:
            held = [stack.enter_context(closing(opened(port, "127.0.5.5"))) for _ in range(5)]
            for connection in held:
                connection.sendall(GET)
                assert connection.recv(15).startswith(b"HTTP/1.1 200")
            assert connections.count == 5


def test_a_proxy_is_named_by_its_address() -> None:
    for wrong in ("proxy.example", "*", "", "10.0.0.0/8"):
        with pytest.raises(OpenAddressError):
            Connections(proxy=wrong)


@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(["192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::2", "::ffff:192.0.2.1"]), st.booleans()
        ),
        max_size=60,
    )
)
def test_counts_are_those_of_the_open_connections(steps: list[tuple[str, bool]]) -> None:
    connections = Connections(address_most=3, all_most=7)
    whose = {"::ffff:192.0.2.1": "192.0.2.1", "2001:db8::2": "2001:db8::1"}
    there: list[str] = []
    for address, comes in steps:
        mine = [one for one in there if whose.get(one, one) == whose.get(address, address)]
        if comes:
            taken = connections.takes(address)
            assert taken == (len(there) < 7 and len(mine) < 3)
            there += [address] if taken else []
        elif address in there:
            connections.gone(address)
            there.remove(address)
        assert connections.count == len(there)
