"""Budgets: the public statement of cumulative loss, and what is left of your own fair share."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from casehaven.client.answers import NANO
from casehaven.client.display import Listing
from casehaven.client.errors import UnexpectedAnswerError
from casehaven.client.fields import Fields
from casehaven.client.jobs import Jobs
from casehaven.client.plain_text import is_plain
from casesynth.canonical import JsonFaultError, canonical_json, parse_json
from casesynth.signing import BadSignatureError, PublicKey, PublicKeyError, verify_statement


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


class Budgets:
    """What was spent, as the public is told, and what you may spend."""

    def __init__(self, jobs: Jobs) -> None:
        """Use a connection."""
        self._jobs = jobs

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
