"""What a file is, by its bytes and not by its name, and the tables in it.

1. A ZIP with `[Content_Types].xml` is a workbook; another holds one table (CSV, workbook or JSON), or the tables of an ODK Central export. Pictures and other files beside them are
   not opened. A ZIP in a ZIP is refused.
2. What is not read here is refused by its kind, with what to do: old Excel files, workbooks with a password, OpenDocument, PDF, web pages, other archives.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from casehaven.intake.sandbox.archive import Archive
from casehaven.intake.sandbox.delimited import Open, read_delimited
from casehaven.intake.sandbox.documents import Documents
from casehaven.intake.sandbox.faults import FaultError, too_large
from casehaven.intake.sandbox.request import Request
from casehaven.intake.sandbox.tables import RawTable
from casehaven.intake.sandbox.workbook import Workbook

_HELD = 192 << 20
_TABLES = (".csv", ".tsv", ".txt", ".xlsx", ".xlsm", ".json")
_TEXT_TABLES = (".csv", ".tsv", ".txt")
_OTHER = (
    (b"%PDF", "a PDF; export the records as CSV or XLSX"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive; unpack it, or pack it as ZIP"),
    (b"Rar!", "a RAR archive; unpack it, or pack it as ZIP"),
    (b"\x1f\x8b", "a gzip archive; unpack it first"),
    (b"BZh", "a bzip2 archive; unpack it first"),
    (b"\xfd7zXZ", "an xz archive; unpack it first"),
    (b"SQLite format 3", "a database; export the records as CSV or XLSX"),
    (b"PAR1", "a Parquet file"),
)
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


class Contents:
    """The tables of one file."""

    def __init__(self, file: BinaryIO, request: Request) -> None:
        self._request = request
        self._limits = request.limits
        size = file.seek(0, 2)
        if size > self._limits.file_bytes:
            raise too_large("bytes", self._limits.file_bytes)
        self.workbook: Workbook | None = None
        self.documents: Documents | None = None
        self.archive: Archive | None = None
        self._text: Open | None = None
        self.name = ""
        self._take(file, inside=False)

    def text(self) -> RawTable:
        """Return the table of a text file."""
        assert self._text is not None
        return read_delimited(
            self._text, self._limits, name=self.name, encoding=self._request.encoding, separator=self._request.separator
        )

    def text_of(self, name: str) -> RawTable:
        """Return the table of a text file in the ZIP."""
        assert self.archive is not None
        return read_delimited(
            _in_archive(self.archive, name),
            self._limits,
            name=name,
            encoding=self._request.encoding,
            separator=self._request.separator,
        )

    @property
    def text_names(self) -> list[str]:
        """Names of the text tables in a ZIP."""
        names = self.archive.names if self.archive else []
        return [name for name in names if name.lower().endswith(_TEXT_TABLES)]

    def _take(self, file: BinaryIO, *, inside: bool) -> None:
        file.seek(0)
        start = file.read(4_096)
        file.seek(0)
        if start.startswith((b"PK\x03\x04", b"PK\x05\x06")):
            if inside:
                archive = Archive(file, self._limits)
                if "[Content_Types].xml" not in archive.entries:
                    raise FaultError("kind", "a ZIP inside a ZIP; unpack the outer one and give the inner one")
                self.workbook = Workbook(archive, self._limits)
            else:
                self._take_archive(Archive(file, self._limits, self._request.password))
            return
        if start.startswith(_OLE):
            self._refuse_ole(file)
        for mark, what in _OTHER:
            if start.startswith(mark):
                raise FaultError("kind", what)
        begin = start.lstrip(b"\xef\xbb\xbf \t\r\n")
        if begin[:1] == b"<":
            raise FaultError(
                "kind",
                "a web page or XML, whatever its name says; open it in a spreadsheet program and save it as XLSX",
            )
        opened = _same(file)
        if begin[:1] in (b"{", b"[") or begin[:4] in (b"\xff\xfe{\x00", b"\xff\xfe[\x00"):
            self.documents = Documents(opened, self._limits)
        else:
            self._text = opened

    def _take_archive(self, archive: Archive) -> None:
        if "[Content_Types].xml" in archive.entries:
            self.workbook = Workbook(archive, self._limits)
            return
        if "mimetype" in archive.entries:
            raise FaultError("kind", "an OpenDocument file; save it as XLSX or CSV")
        tables = [name for name in archive.names if name.lower().endswith(_TABLES)]
        if self._request.sheet in tables:
            tables = [str(self._request.sheet)]
        texts = [name for name in tables if name.lower().endswith(_TEXT_TABLES)]
        if not tables:
            inner = any(name.lower().endswith(".zip") for name in archive.names)
            what = "a ZIP inside a ZIP; unpack the outer one" if inner else "the ZIP holds no table"
            raise FaultError("kind", f"{what}; expected one CSV, XLSX or JSON file in it, or an export of ODK Central")
        self.archive = archive
        if len(tables) > 1:
            if len(texts) < len(tables):
                raise FaultError("sheet", f"the ZIP holds several tables; say which with --sheet: {_listed(tables)}")
            return
        (self.name,) = tables
        if texts:
            self._text = _in_archive(archive, self.name)
        elif self.name.lower().endswith(".json"):
            self.documents = Documents(_in_archive(archive, self.name), self._limits)
        else:
            self._take(io.BytesIO(archive.read(self.name, _HELD)), inside=True)

    def _refuse_ole(self, file: BinaryIO) -> None:
        start = file.read(1 << 20)
        if "EncryptedPackage".encode("utf-16-le") in start:
            raise FaultError(
                "password",
                "the workbook has a password; open it, save it without one, and put that file into a ZIP with a password",
            )
        raise FaultError("kind", "a file of Excel 97-2003, Access or Word; open it and save it as XLSX")


@contextmanager
def _rewound(file: BinaryIO) -> Iterator[BinaryIO]:
    file.seek(0)
    yield io.BufferedReader(_Unclosed(file), 1 << 18)


class _Unclosed(io.RawIOBase):
    """A file that stays open when a reader of it is done."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # readers hand a memoryview
        data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


def _same(file: BinaryIO) -> Open:
    return lambda: _rewound(file)


def _in_archive(archive: Archive, name: str) -> Open:
    return lambda: archive.open(name)


def _listed(names: list[str]) -> str:
    return ", ".join(name[:60] for name in names[:12]) + (" and more" if len(names) > 12 else "")
