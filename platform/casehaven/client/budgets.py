"""Budgets: the public statement of cumulative loss, your organisation's own ledger in the same steps, raises of a cap, and what is left of your own fair share."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from casehaven.client.answers import NANO
from casehaven.client.datasets import dataset_parts, dataset_path, organisation_path
from casehaven.client.display import Listing
from casehaven.client.errors import BadRequestError, UnexpectedAnswerError
from casehaven.client.fields import Fields, pages
from casehaven.client.jobs import Jobs
from casehaven.client.plain_text import is_plain
from casehaven.client.transport import Transport
from casesynth.canonical import JsonFaultError, canonical_json, parse_json
from casesynth.signing import BadSignatureError, PublicKey, PublicKeyError, verify_statement

_HANDLE: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_DIGEST: Final = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True)
class Statement:
    """The public statement of cumulative loss: the state at the beginning of this month, in sixteenths of each budget."""

    document: Mapping[str, Any] = field(repr=False)
    """`casehaven-budget-statement/1`."""
    words: str = field(repr=False)
    """The same in the server's words; `casehaven budget verify` makes them anew from what was signed."""
    fingerprint: str
    """Of the key that signed; compare it with the deployment's over another channel."""
    signed: bytes = field(repr=False)
    """`casehaven-signed-statement/1`, as a file that `casehaven budget verify` checks. Its statement is `document`."""


@dataclass(frozen=True, kw_only=True)
class Allowance:
    """Your own fair share of a dataset's budget."""

    dataset: str
    limit_nano_rho: int | None
    """None: no limit."""
    left_nano_rho: int | None

    @property
    def left_rho(self) -> float | None:
        """What is left; None where there is no limit."""
        return None if self.left_nano_rho is None else self.left_nano_rho / NANO


@dataclass(frozen=True, kw_only=True)
class OwnAccount:
    """One account of your organisation, as of the beginning of this month."""

    dataset: str
    block: str
    """Four digits of a year; empty when the year is unknown."""
    epsilon_cap: str
    spent_parts: int | None
    """Sixteenths of the budget, rounded up; None where nothing bounds it any more."""
    epsilon_at_most: float | None
    months: tuple[tuple[str, int | None], ...] = field(repr=False)
    """By month, the sixteenths at its end."""
    purposes: Mapping[str, Any] = field(repr=False)
    """By purpose, sixteenths of their own, rounded up."""


@dataclass(frozen=True, kw_only=True)
class OwnLedger:
    """What your organisation's datasets spent, in the steps of the public statement."""

    before: str
    """The first day of this month: later charges are in none of it."""
    accounts: Listing[OwnAccount]
    document: Mapping[str, Any] = field(repr=False)
    """`casehaven-own-ledger/1`, with the allowances and who may approve a raise."""


@dataclass(frozen=True, kw_only=True)
class CapRaise:
    """A raise that was asked for."""

    id: str
    state: str
    """`proposed` or `raised`."""
    approvals: tuple[str, ...]
    """Fingerprints of the keys that approved."""
    request: Mapping[str, Any] = field(repr=False)
    """`casehaven-budget-raise/1`: what two people sign, each with a key of their own."""

    def to_bytes(self) -> bytes:
        """The request as a file that `casehaven budget approve-raise` reads."""
        return canonical_json(dict(self.request))


class Budgets:
    """What was spent, as the public is told, and what you may spend."""

    def __init__(self, transport: Transport, jobs: Jobs) -> None:
        """Use a connection."""
        self._transport, self._jobs = transport, jobs

    def statement(self) -> Statement:
        """Return the signed public statement. Its signature fits; whose it is, `fingerprint` says.

        Raises:
            UnexpectedAnswerError: it is not as it was signed.
        """
        fields = Fields(self._jobs.ask("GET", "/v1/budgets/statement").result, "statement")
        signed = fields.text("signed", most=50_000_000).encode("utf-8", "surrogatepass")
        return _verified(signed, fields.text("words", most=10_000_000))

    def allowances(self) -> Listing[Allowance]:
        """Return what is left of your fair share in each dataset that you may ask about."""
        fields = Fields(self._jobs.ask("GET", "/v1/budgets/allowances").result, "list of allowances")
        return Listing(fields.each("allowances", _allowance))

    def ledger(self, organisation: str) -> OwnLedger:
        """Return your organisation's own ledger: a sixteenth is the smallest step, and this month shows in the next."""
        path = f"{organisation_path(organisation)}/ledger"
        fields = Fields(self._jobs.ask("GET", path).result, "ledger")
        return OwnLedger(
            before=fields.text("before"), accounts=Listing(fields.each("accounts", _own_account)), document=fields.all
        )

    def allow(self, analyst: str, dataset: str, nano_rho: int | None) -> None:
        """Let a member ask about a dataset up to an allowance; None: without one. Needs a second factor: sign in.

        Args:
            analyst: the member's handle.
            dataset: organisation/dataset.
            nano_rho: the most that they may charge to it in all.
        """
        if not _HANDLE.fullmatch(analyst):
            raise BadRequestError(status=0, code="name-form", title="an analyst is named by a handle")
        path = f"{dataset_path(dataset)}/grants/{analyst}"
        self._transport.json("PUT", path, body={"allowance_nano_rho": nano_rho})

    def ask_raise(self, dataset: str, *, epsilon: str, reason: str) -> CapRaise:
        """Ask for a raise of the cap of a dataset. Nothing is raised until two people whom the ledger names approved it.

        Args:
            dataset: organisation/dataset.
            epsilon: the new one, as decimal text.
            reason: why; it is published.

        Raises:
            ConflictError: it goes not up.
        """
        organisation, name = dataset_parts(dataset)
        body = {"dataset": name, "epsilon": epsilon, "reason": reason}
        return _cap_raise(
            Fields(self._jobs.ask("POST", f"{organisation_path(organisation)}/cap-raises", body=body).result, "raise")
        )

    def raises(self, organisation: str) -> Listing[CapRaise]:
        """Return the raises that were asked for, newest first."""
        path = f"{organisation_path(organisation)}/cap-raises"
        return Listing(pages(self._transport, path, _cap_raise, "list of raises"))

    def hand_in(self, organisation: str, raise_id: str, approval: bytes) -> CapRaise:
        """Hand in one person's approval; with the second one the cap is raised for good. Needs a second factor: sign in.

        Args:
            organisation: whose dataset it is about.
            raise_id: SHA-256 of the request.
            approval: the file that `casehaven budget approve-raise` wrote.

        Raises:
            ConflictError: it is of another request, or of nobody whom the ledger names.
        """
        if not _DIGEST.fullmatch(raise_id):
            raise ValueError("the id of a raise is 64 hexadecimal digits")
        path = f"{organisation_path(organisation)}/cap-raises/{raise_id}/approvals"
        body = {"approval": approval.decode("utf-8")}
        return _cap_raise(Fields(self._jobs.ask("POST", path, body=body).result, "raise"))


def _own_account(fields: Fields) -> OwnAccount:
    return OwnAccount(
        dataset=fields.text("dataset"),
        block=fields.text("block"),
        epsilon_cap=fields.text("epsilon_cap"),
        spent_parts=fields.maybe_whole("spent_parts"),
        epsilon_at_most=None if fields.all.get("epsilon_at_most") is None else fields.number("epsilon_at_most"),
        months=fields.each("months", lambda one: (one.text("month"), one.maybe_whole("spent_parts"))),
        purposes=fields.inner("purposes").all,
    )


def _cap_raise(fields: Fields) -> CapRaise:
    found = fields.text("id")
    if not _DIGEST.fullmatch(found):
        raise UnexpectedAnswerError("the server's raise has no id")
    return CapRaise(
        id=found,
        state=fields.text("state"),
        approvals=fields.each("approvals", lambda one: one.text("fingerprint")),
        request=fields.inner("request").all,
    )


def _verified(signed: bytes, words: str) -> Statement:
    try:
        fields = Fields(parse_json(signed, "the statement"), "statement")
        document, key = fields.inner("statement").all, PublicKey.parse(fields.text("public_key"))
        verify_statement(key, base64.b64decode(fields.text("signature"), validate=True), canonical_json(document))
    except (JsonFaultError, PublicKeyError, BadSignatureError, ValueError):
        raise UnexpectedAnswerError("the server's statement is not as it was signed") from None
    if not is_plain(document):
        raise UnexpectedAnswerError("the server's statement holds characters that no statement has")
    return Statement(document=document, words=words, fingerprint=key.fingerprint, signed=signed)


def _allowance(fields: Fields) -> Allowance:
    return Allowance(
        dataset=fields.text("dataset"),
        limit_nano_rho=fields.maybe_whole("limit_nano_rho"),
        left_nano_rho=fields.maybe_whole("left_nano_rho"),
    )
