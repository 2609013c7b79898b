"""Agreements: what you may ask under, by its terms. It names no contributor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from casehaven.client.display import Listing
from casehaven.client.errors import BadRequestError
from casehaven.client.fields import ID, Fields
from casehaven.client.transport import Transport


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """An agreement in force that lets you ask, or draw releases."""

    id: str
    """32 hexadecimal digits: what `agreement=` takes."""
    title: str
    purposes: tuple[str, ...]
    """`pooled_statistics` is what questions need."""
    fields: Mapping[str, tuple[str, ...]] = field(repr=False)
    """Each attribute that may be asked about: `as_is`, or the coarser levels alone."""
    schema_sha256: str = field(repr=False)
    """Of its datasets' schema."""
    minimum_count: int
    """Smaller counts are hidden."""
    people_cap: int
    max_tokens_per_person: int
    budget_nano_rho: int
    """The most that everything under it may charge to each dataset; everybody who asks shares it."""
    expires: str
    """Its last day."""


class Agreements:
    """The agreements under which you may ask."""

    def __init__(self, transport: Transport) -> None:
        """Use a connection."""
        self._transport = transport

    def list(self) -> Listing[Agreement]:
        """Return the agreements in force that let you ask."""
        return Listing(
            Fields(self._transport.json("GET", "/v1/agreements/open"), "list of agreements").each("items", _read)
        )


def agreement_id(text: str) -> str:
    """Return the id of an agreement.

    Raises:
        BadRequestError: it is written in another way.
    """
    if not ID.fullmatch(text):
        raise BadRequestError(status=0, code="agreement-name", title="an agreement is named by 32 hexadecimal digits")
    return text


def _read(fields: Fields) -> Agreement:
    allowed = fields.inner("fields")
    return Agreement(
        id=fields.id("agreement"),
        title=fields.text("title"),
        purposes=fields.texts("purposes"),
        fields={name: allowed.texts(name) for name in allowed.all},
        schema_sha256=fields.text("schema_sha256"),
        minimum_count=fields.whole("minimum_count"),
        people_cap=fields.whole("people_cap"),
        max_tokens_per_person=fields.whole("max_tokens_per_person"),
        budget_nano_rho=fields.whole("budget_nano_rho"),
        expires=fields.text("expires"),
    )
