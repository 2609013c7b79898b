"""A fault of a schema document: where it is, what was found, what was expected, what to do."""

from __future__ import annotations

from dataclasses import dataclass

FOUND_LENGTH = 60
"""A quotation from the document is cut to this many characters."""


def quoted(value: object) -> str:
    r"""Quote a piece of the document for a message: one line, no control characters, cut to a readable length.

    >>> quoted("two\nlines"), quoted(["a"] * 9), quoted({}), quoted(True)
    ("'two\\nlines'", 'a list of 9', 'an empty object', 'true')
    """
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return f"a list of {len(value)}" if value else "an empty list"
    if isinstance(value, dict):
        return "an object with " + ", ".join(quoted(key) for key in list(value)[:4]) if value else "an empty object"
    if isinstance(value, str):
        short = value if len(value) <= FOUND_LENGTH else value[: FOUND_LENGTH - 3] + "..."
        visible = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in short)
        return f"'{visible}'"
    return str(value)[:FOUND_LENGTH]


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One fault of a schema document."""

    code: str
    """What kind of fault, from the list in docs/spec/schema.md."""
    pointer: str
    """Where, as a JSON pointer (RFC 6901); the empty text is the whole document."""
    line: int
    """Where, as a line of the file, counted from 1."""
    found: str
    """What stands there."""
    expected: str
    """What may stand there."""
    advice: str
    """What to do about it."""

    def __str__(self) -> str:
        """The fault in one line, its code last."""
        place = f"line {self.line}, {self.pointer or 'the document'}"
        return f"{place}: found {self.found}, expected {self.expected}; {self.advice} [{self.code}]"
