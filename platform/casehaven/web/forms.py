"""Plain forms: what a page's own form sent, checked to come from that page, and what is wrong with it.

1. A form is `application/x-www-form-urlencoded`, of at most `FIELDS` fields; the boundary bounds its bytes.
2. It holds the session's page value (`page`) and, where it spends or uploads, an idempotency key (`key`) that was made when it was shown. So sending it twice is one request.
3. It is refused unless the browser says that it comes from this origin and the page value is the session's. The route behind it checks both again.
4. A form that was refused for want of a fresh second factor is shown again with its fields hidden and a place for the code (`factor`); what it holds goes to nobody else.
5. Where the service wants the job itself signed with a passkey (`assertion-needed`), it is shown again in the same way, and comes back with the signature (`job_assertion`).
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qsl

from fastapi import Request

from casehaven.core.problems import Problem
from casehaven.organisations.errors import CrossSiteError
from casehaven.signin.principal import check_origin
from casehaven.web.errors import FormError

FIELDS: Final = 2_000
PAGE: Final = "page"
KEY: Final = "key"
FACTOR: Final = "factor"
ASSERTION: Final = "job_assertion"
_OWN: Final = frozenset({PAGE, KEY, FACTOR, ASSERTION})
_MEDIA_TYPE: Final = "application/x-www-form-urlencoded"


@dataclass
class Form:
    """What a form holds, and what is wrong with it."""

    page_value: str = field(repr=False)
    key: str
    """Idempotency-Key of what it asks for."""
    values: dict[str, list[str]] = field(default_factory=dict, repr=False)
    factor: str = field(default="", repr=False)
    """Code of a second factor that was sent along (rule 4)."""
    assertion: str = field(default="", repr=False)
    """A passkey's signature over the job that this form asks for (rule 5)."""
    faults: dict[str, tuple[str, dict[str, object]]] = field(default_factory=dict, repr=False)
    """Name of a field: key of the words that say what is wrong, and what is filled in."""
    problem: Problem | None = None
    """What the service refused, shown in the summary on top."""
    labels: dict[str, str] = field(default_factory=dict, repr=False)
    """Name of a field: its label; noted while the page is written, for the summary."""

    def labelled(self, name: str, label: str) -> None:
        """Note the label of a field."""
        self.labels[name] = label

    def text(self, name: str) -> str:
        """Return a field without white space around it; empty where it is missing."""
        return self.values.get(name, [""])[0].strip()

    def all(self, name: str) -> list[str]:
        """Return every value of a field that can be chosen more than once."""
        return [value for value in self.values.get(name, []) if value]

    def ticked(self, name: str) -> bool:
        """Tell whether a box is ticked."""
        return bool(self.all(name))

    def number(self, name: str, *, least: int, most: int) -> int:
        """Return a whole number within bounds; a fault and `least` where it is none."""
        text = self.text(name).translate(_DIGITS)
        if text.isascii() and text.isdecimal() and least <= int(text[:20]) <= most:
            return int(text)
        self.fault(name, "forms.number", least=f"{least:,}", most=f"{most:,}")
        return least

    def needed(self, *names: str) -> None:
        """Note a fault for each of these fields that is empty."""
        for name in names:
            if not self.text(name):
                self.fault(name, "forms.needed")

    def fault(self, name: str, key: str, /, **fill: object) -> None:
        """Note what is wrong with a field; the first fault stays."""
        self.faults.setdefault(name, (key, fill))

    @property
    def fine(self) -> bool:
        """Whether nothing is wrong."""
        return not self.faults and self.problem is None

    @property
    def hidden(self) -> list[tuple[str, str]]:
        """Every value as a pair, to be sent again (rule 4)."""
        return [(name, value) for name, values in self.values.items() for value in values]


_DIGITS: Final = str.maketrans("٠١٢٣٤٥٦٧٨٩۰۱۲۳۴۵۶۷۸۹", "01234567890123456789")
"""Eastern Arabic and Persian digits, as people type them."""


def blank_form(page_value: str, values: Mapping[str, str]) -> Form:
    """Return a form that was not sent yet."""
    return Form(
        page_value=page_value,
        key=secrets.token_hex(16),
        values={name: [value] for name, value in values.items()},
    )


async def read_form(request: Request, page_value: str) -> Form:
    """Read a form.

    Args:
        request: a POST.
        page_value: the session's own; empty where nobody is signed in.

    Raises:
        CrossSiteError: rule 3.
        FormError: rule 1.
        BodyTooLargeError: it is larger than the boundary lets through.
    """
    check_origin(request)
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _MEDIA_TYPE:
        raise FormError("a form is sent as application/x-www-form-urlencoded")
    try:
        text = (await request.body()).decode("utf-8")
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=FIELDS, encoding="utf-8", errors="strict")
    except ValueError:
        raise FormError(f"a form has at most {FIELDS} fields, in UTF-8") from None
    values: dict[str, list[str]] = {}
    for name, value in pairs:
        values.setdefault(name, []).append(value)
    given = values.get(PAGE, [""])[0]
    if not hmac.compare_digest(given.encode(), page_value.encode()):
        raise CrossSiteError
    return Form(
        page_value=given,
        key=values.get(KEY, [""])[0],
        factor=values.get(FACTOR, [""])[0].strip(),
        assertion=values.get(ASSERTION, [""])[0],
        values={name: found for name, found in values.items() if name not in _OWN},
    )
