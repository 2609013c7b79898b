"""How large a file may be: bounds that a case file of this field does not reach, and a hostile one does."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["LIMITS", "Limits"]


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Bounds of one file; a file over any of them is refused, by the name of the bound."""

    file_bytes: int = 1 << 30
    """Bytes of the file as it is."""
    rows: int = 2_000_000
    """Rows of one table, the header among them."""
    columns: int = 4_000
    """Columns of one table."""
    cell_length: int = 100_000
    """Characters of one cell."""
    decompressed_bytes: int = 3 << 30
    """Bytes of all parts that are read out of a ZIP or a workbook."""
    entries: int = 20_000
    """Files in a ZIP; pictures that are never read count."""
    ratio: int = 100
    """Decompressed to compressed bytes of one part, once it passes `ratio_from`."""
    ratio_from: int = 4 << 20
    """Decompressed bytes from which the ratio counts."""
    depth: int = 32
    """Values inside values of a JSON file."""
    memory_bytes: int = 512 << 20
    """Address space of the process that parses."""
    cpu_seconds_least: int = 3
    """Processor time for the smallest file."""
    cpu_seconds_per_mebibyte: float = 1.5
    """Added for each mebibyte of the file."""
    cpu_seconds_per_locked_mebibyte: float = 4
    """The same for a file with a password: ZipCrypto is undone byte by byte."""
    cpu_seconds_most: int = 240
    """Never more than that."""
    silence_seconds: int = 60
    """How long the process may take from one batch to the next."""

    def cpu_seconds(self, size: int, *, locked: bool = False) -> int:
        """Return the processor time, in seconds, that a file of `size` bytes may take; `locked` with a password."""
        each = self.cpu_seconds_per_locked_mebibyte if locked else self.cpu_seconds_per_mebibyte
        return min(self.cpu_seconds_most, self.cpu_seconds_least + int(each * size / (1 << 20)))


LIMITS = Limits()
"""The bounds that hold unless a caller sets others."""
