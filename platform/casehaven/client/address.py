"""Where a server is: a scheme, a host and a port, and nothing else.

A token goes over TLS with a checked certificate, or to this same computer.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Self
from urllib.parse import urlsplit

from casehaven.client.errors import ServerAddressError

_HERE: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_HOST: Final = re.compile(r"[A-Za-z0-9.:-]{1,253}")


@dataclass(frozen=True, kw_only=True)
class ServerAddress:
    """An address that a token may be sent to."""

    origin: str
    """Such as `https://cases.example.org` or `http://localhost:8470`."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read an address.

        >>> ServerAddress.parse("https://cases.example.org/").origin
        'https://cases.example.org'
        >>> ServerAddress.parse("http://cases.example.org")
        Traceback (most recent call last):
        ...
        casehaven.client.errors.ServerAddressError: a server elsewhere needs https://; http:// is for this computer alone

        Raises:
            ServerAddressError: it is none, or is not encrypted.
        """
        try:
            parts = urlsplit(text.strip())
            host, port = parts.hostname or "", parts.port
        except ValueError:
            raise ServerAddressError(_FORM) from None
        extra = parts.path not in ("", "/") or parts.query or parts.fragment or "@" in parts.netloc
        if parts.scheme not in ("http", "https") or not _HOST.fullmatch(host) or extra:
            raise ServerAddressError(_FORM)
        if parts.scheme == "http" and host not in _HERE:
            raise ServerAddressError("a server elsewhere needs https://; http:// is for this computer alone")
        name = f"[{host}]" if ":" in host else host
        return cls(origin=f"{parts.scheme}://{name}" + ("" if port is None else f":{port}"))

    @property
    def here(self) -> bool:
        """Whether nothing leaves this computer in plain."""
        return self.origin.startswith("http://")


_FORM: Final = "the address of a server is written https://NAME or https://NAME:PORT, without a path"
