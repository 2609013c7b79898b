"""The client: a server, and what can be done with it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

import httpx

from casehaven.client.address import ServerAddress
from casehaven.client.agreements import Agreements
from casehaven.client.answers import Answers
from casehaven.client.audit import Audit
from casehaven.client.budgets import Budgets
from casehaven.client.datasets import Datasets
from casehaven.client.errors import ServerAddressError
from casehaven.client.fields import Fields
from casehaven.client.jobs import Jobs
from casehaven.client.people import People
from casehaven.client.questions import Queries
from casehaven.client.releases import Releases
from casehaven.client.session import Session, begin_session
from casehaven.client.statistics import Statistics
from casehaven.client.token import Token
from casehaven.client.transport import Patience, Transport
from casehaven.client.uploads import Uploads

SERVER_VARIABLE: Final = "CASEHAVEN_SERVER"


@dataclass(frozen=True, kw_only=True)
class Principal:
    """Whose token it is, and what it may do."""

    handle: str
    """The member's name in the deployment."""
    organisation: str
    roles: tuple[str, ...]
    operations: tuple[str, ...]
    """Such as `question.ask`."""
    datasets: tuple[str, ...]
    """Datasets that were granted to the member by name."""


class Client:
    """A server, for the holder of a token.

    >>> Client("https://cases.example.org", "chv_" + "x" * 43)
    Client('https://cases.example.org')
    """

    def __init__(
        self,
        server: str,
        token: str | Token | Session,
        *,
        patience: Patience | None = None,
        wire: httpx.BaseTransport | None = None,
    ) -> None:
        """Name the server; nothing is sent yet.

        Args:
            server: such as `https://cases.example.org`; `http://` for this computer alone.
            token: `chv_...`; or a session (`sign_in`).
            patience: how often a request is repeated, and how long is waited between.
            wire: in the place of the network.

        Raises:
            ServerAddressError, TokenError: one of them has another form.
        """
        self._transport = Transport(
            ServerAddress.parse(server),
            Token(token) if isinstance(token, str) else token,
            patience=patience,
            wire=wire,
        )
        self.jobs = Jobs(self._transport)
        self.datasets = Datasets(self._transport, self.jobs)
        self.uploads = Uploads(self._transport, self.jobs)
        self.agreements = Agreements(self._transport)
        self.queries = Queries(self.jobs)
        self.answers = Answers(self.jobs)
        self.budgets = Budgets(self._transport, self.jobs)
        self.audit = Audit(self.jobs)
        self.releases = Releases(self._transport)
        self.people = People(self.jobs)
        self.statistics = Statistics(self.jobs)

    @classmethod
    def from_env(cls, environment: Mapping[str, str] | None = None) -> Self:
        """Take server and token from the environment: CASEHAVEN_SERVER, and CASEHAVEN_TOKEN_FILE or CASEHAVEN_TOKEN.

        Args:
            environment: in the place of the process's own.

        Raises:
            ServerAddressError, TokenError: one of them is missing or has another form.
        """
        found = os.environ if environment is None else environment
        server = found.get(SERVER_VARIABLE)
        if not server:
            raise ServerAddressError(f"no server: {SERVER_VARIABLE} is empty")
        return cls(server, Token.from_env(found))

    @classmethod
    def sign_in(
        cls,
        server: str,
        handle: str,
        password: str,
        code: str,
        *,
        patience: Patience | None = None,
        wire: httpx.BaseTransport | None = None,
    ) -> Self:
        """Sign in for what a token may never do: open, correct and erase records, exact tables, approvals. `close` ends the session.

        Args:
            server: such as `https://cases.example.org`.
            handle: of the member.
            password: of the member.
            code: six digits of the app, or a recovery code.
            patience: how often a request is repeated, and how long is waited between.
            wire: in the place of the network.

        Raises:
            SignInNeededError: one of the three is wrong.
            ServerAddressError: the address has another form.
        """
        address = ServerAddress.parse(server)
        return cls(server, begin_session(address, handle, password, code, wire=wire), patience=patience, wire=wire)

    def principal(self) -> Principal:
        """Return whose token this is, and what it may do."""
        fields = Fields(self._transport.json("GET", "/v1/principal"), "principal")
        return Principal(
            handle=fields.text("handle"),
            organisation=fields.text("organisation"),
            roles=fields.texts("roles"),
            operations=fields.texts("operations"),
            datasets=fields.texts("datasets"),
        )

    @property
    def server(self) -> str:
        """The server's address."""
        return self._transport.address.origin

    def close(self) -> None:
        """Close its connections."""
        self._transport.close()

    def __enter__(self) -> Self:
        """Close it at the end of the block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def __repr__(self) -> str:
        """Name the server, and nothing else."""
        return f"Client({self.server!r})"
