"""Hundreds of silent connections to the real server: whoever else comes is served."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.service.api.conftest import House


def test_others_are_served_while_one_address_holds_all_it_can(house: House) -> None:
    silent = []
    try:
        for _ in range(400):
            one = socket.create_connection(
                ("127.0.0.1", house.running.port), timeout=20, source_address=("127.0.7.7", 0)
            )
            silent.append(one)
            try:
                one.sendall(b"GET /v1 HT")
            except (BrokenPipeError, ConnectionResetError):
                continue  # beyond the bound: closed at once
        visitor = house.running.client()
        for _ in range(5):
            found = visitor.get("/v1")
            assert (found.status_code, found.headers["x-frame-options"]) == (200, "DENY")
        assert house.north.get("/v1/principal").status_code == 200
        closed = [one for one in silent if _is_closed(one)]
        assert len(closed) >= 300
    finally:
        for one in silent:
            one.close()


def _is_closed(one: socket.socket) -> bool:
    one.settimeout(0.0)
    try:
        return one.recv(1) == b""
    except BlockingIOError:
        return False
    except ConnectionResetError:
        return True
