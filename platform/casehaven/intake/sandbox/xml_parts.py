"""XML from outside, read in pieces with a small parser, and nothing beyond elements and text.

1. A document type is refused, and with it every entity beyond the five of XML: no expansion, no file or address is ever looked up.
2. Elements are known by their local names; what prefix a writer chose does not matter.
3. Depth is bounded. Memory is that of one piece and of what the caller keeps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import BinaryIO
from xml.parsers import expat

from casehaven.intake.sandbox.faults import FaultError

_CHUNK = 1 << 16
_DEPTH = 64

Start = Callable[[str, dict[str, str]], None]
End = Callable[[str], None]
Text = Callable[[str], None]


def parse(file: BinaryIO, start: Start, end: End, text: Text) -> Iterator[None]:
    """Parse a part, calling back; yield after each piece.

    Raises:
        FaultError: no XML, or XML of a kind that no workbook holds.
    """
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = text
    parser.StartDoctypeDeclHandler = _refuse_doctype
    try:
        while data := file.read(_CHUNK):
            parser.Parse(data)
            yield
        parser.Parse(b"", True)
    except expat.ExpatError:
        raise FaultError(
            "damaged", "the workbook is damaged; open it in a spreadsheet program, save it again, and try that file"
        ) from None
    except ValueError:  # an encoding that expat does not know
        raise FaultError(
            "damaged", "the workbook has text in an unknown encoding; save it again in a spreadsheet program"
        ) from None
    yield


def elements(file: BinaryIO, wanted: Mapping[str, str] | None = None) -> list[tuple[str, dict[str, str]]]:
    """Return all elements of a small part with their attributes, in order, by local name; of `wanted` names only when given."""
    found: list[tuple[str, dict[str, str]]] = []
    depth = 0

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > _DEPTH:
            raise FaultError("damaged", "the workbook is built in a way that no spreadsheet program writes")
        local = local_name(name)
        if wanted is None or local in wanted:
            found.append((local, {local_name(key): value for key, value in attributes.items()}))

    def end(name: str) -> None:
        nonlocal depth
        depth -= 1

    for _ in parse(file, start, end, lambda _: None):
        pass
    return found


def local_name(name: str) -> str:
    """Return a name without its prefix.

    >>> local_name("x:sheet"), local_name("sheet")
    ('sheet', 'sheet')
    """
    return name.rpartition(":")[2]


def _refuse_doctype(name: str, system: str | None, public: str | None, internal: int) -> None:
    raise FaultError(
        "damaged",
        "the workbook holds a document type, as no spreadsheet program writes; do not use it, ask for it again",
    )
