"""What the parent asks of the parsing process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from casehaven.intake.sandbox.limits import Limits

TOOLS = ("csv", "workbook", "json", "kobo", "odk-central", "primero", "salesforce", "htcds-template")


@dataclass(frozen=True, kw_only=True)
class Request:
    """One question about one file."""

    do: Literal["describe", "read", "form"]
    columns: tuple[str, ...] = ()
    """To read, by their names in the description."""
    password: str | None = field(default=None, repr=False)
    tool: str | None = None
    encoding: str | None = None
    separator: str | None = None
    sheet: str | None = None
    """Of a workbook, or a file of a ZIP."""
    form: tuple[Mapping[str, Any], ...] | None = None
    apart: tuple[str, ...] = ()
    """Names and labels of what is filled: columns that bear one are not joined with others."""
    limits: Limits = field(default_factory=Limits)

    def document(self) -> dict[str, Any]:
        """Return the request as plain values."""
        return asdict(self)


def request_of(document: Mapping[str, Any]) -> Request:
    """Return the request of plain values."""
    values = dict(document)
    values["columns"], values["apart"] = tuple(values["columns"]), tuple(values["apart"])
    values["form"] = None if values["form"] is None else tuple(values["form"])
    values["limits"] = Limits(**values["limits"])
    return Request(**values)
