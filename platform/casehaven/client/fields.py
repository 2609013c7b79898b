"""Fields of what a server says, read by their types: what is missing or of another type refuses the whole answer."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeVar

from casehaven.client.errors import UnexpectedAnswerError

if TYPE_CHECKING:
    from casehaven.client.transport import Transport

T = TypeVar("T")

ID: Final = re.compile("[0-9a-f]{32}")
PAGES_MOST: Final = 10_000


class Fields:
    """An object of JSON."""

    def __init__(self, unverified: object, what: str) -> None:
        """Take it.

        Args:
            unverified: from the server.
            what: it should be, for the message.

        Raises:
            UnexpectedAnswerError: it is no object.
        """
        if not isinstance(unverified, Mapping):
            raise UnexpectedAnswerError(f"the server's {what} is no object")
        self.all: Mapping[str, Any] = unverified
        self._what = what

    def text(self, name: str, *, most: int = 10_000) -> str:
        """Return a text."""
        found = self.all.get(name)
        if not isinstance(found, str) or len(found) > most:
            raise self._fault(name)
        return found

    def maybe_text(self, name: str) -> str | None:
        """Return a text, or None where the field is absent or null."""
        return None if self.all.get(name) is None else self.text(name)

    def id(self, name: str) -> str:
        """Return an id: the only text of a server that becomes part of a path."""
        found = self.text(name)
        if not ID.fullmatch(found):
            raise self._fault(name)
        return found

    def whole(self, name: str) -> int:
        """Return a whole number of at most 18 digits."""
        found = self.all.get(name)
        if isinstance(found, bool) or not isinstance(found, int) or abs(found) >= 1 << 62:
            raise self._fault(name)
        return found

    def maybe_whole(self, name: str) -> int | None:
        """Return a whole number, or None where the field is absent or null."""
        return None if self.all.get(name) is None else self.whole(name)

    def number(self, name: str) -> float:
        """Return a finite number."""
        found = self.all.get(name)
        if isinstance(found, bool) or not isinstance(found, int | float) or not math.isfinite(found):
            raise self._fault(name)
        return float(found)

    def flag(self, name: str, *, default: bool | None = None) -> bool:
        """Return true or false; the default where the field is absent."""
        found = self.all.get(name, default)
        if not isinstance(found, bool):
            raise self._fault(name)
        return found

    def texts(self, name: str) -> tuple[str, ...]:
        """Return a list of texts."""
        found = self.all.get(name)
        if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
            raise self._fault(name)
        return tuple(found)

    def inner(self, name: str) -> Fields:
        """Return an object inside."""
        return Fields(self.all.get(name), f"{self._what}, {name}")

    def each(self, name: str, read: Callable[[Fields], T]) -> tuple[T, ...]:
        """Return a list of objects, each as it is read."""
        found = self.all.get(name)
        if not isinstance(found, list):
            raise self._fault(name)
        return tuple(read(Fields(one, f"{self._what}, {name}")) for one in found)

    def _fault(self, name: str) -> UnexpectedAnswerError:
        return UnexpectedAnswerError(f"the server's {self._what} has no {name} of the right type")


def pages(transport: Transport, path: str, read: Callable[[Fields], T], what: str) -> Iterator[T]:
    """Yield the entries of a list, page after page.

    Raises:
        UnexpectedAnswerError: a page is not what it should be, or the list never ends.
    """
    cursor: str | None = None
    for _ in range(PAGES_MOST):
        page = Fields(transport.json("GET", path, query={} if cursor is None else {"cursor": cursor}), what)
        yield from page.each("items", read)
        before, cursor = cursor, page.maybe_text("next")
        if cursor is None:
            return
        if cursor == before:
            break
    raise UnexpectedAnswerError(f"the server's {what} never ends")
