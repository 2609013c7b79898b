"""Columns of made-up text of one width, written straight into Arrow buffers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

__all__ = ["birthdays", "labelled", "mixed_hexadecimal", "numbered"]

_HEX = np.frombuffer(b"".join(f"{byte:02x}".encode() for byte in range(256)), np.dtype("S2"))
_DIGITS = np.frombuffer(b"".join(f"{number:03d}".encode() for number in range(1000)), np.dtype("S3"))


def _column(letters: NDArray[Any], width: int) -> pa.Array:
    rows = letters.nbytes // width
    offsets = np.arange(0, (rows + 1) * width, width, dtype=np.int32)
    return pa.Array.from_buffers(
        pa.string(), rows, [None, pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(letters))]
    )


def mixed_hexadecimal(counter: NDArray[np.uint64], salt: int) -> pa.Array:
    """Return 16 hexadecimal digits per number; different numbers give different texts (SplitMix64's mixing is one to one).

    >>> mixed_hexadecimal(np.array([0, 1], np.uint64), 0).to_pylist()
    ['e220a8397b1dcdaf', '6e789e6aa1b965f4']
    """
    mixed = (counter + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(salt)
    mixed ^= mixed >> np.uint64(30)
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    mixed ^= mixed >> np.uint64(27)
    mixed *= np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    return _column(_HEX[mixed.astype(">u8").view(np.uint8)], 16)


def numbered(chunk: int, serial: NDArray[np.int64]) -> pa.Array:
    """Return case references such as ``C000001-000042``.

    >>> numbered(1, np.array([42])).to_pylist()
    ['C000001-000042']
    """
    letters = np.empty((len(serial), 14), np.uint8)
    letters[:, :8] = np.frombuffer(f"C{chunk:06d}-".encode(), np.uint8)
    letters[:, 8:11] = _DIGITS[serial // 1000].view(np.uint8).reshape(-1, 3)
    letters[:, 11:] = _DIGITS[serial % 1000].view(np.uint8).reshape(-1, 3)
    return _column(letters, 14)


def labelled(before: str, number: NDArray[np.int64], after: str) -> pa.Array:
    """Return one number of nine digits in the same words per row; numbers are below a billion.

    >>> labelled("Example city ", np.array([42]), "").to_pylist()
    ['Example city 000000042']
    """
    head, tail = before.encode(), after.encode()
    letters = np.empty((len(number), len(head) + 9 + len(tail)), np.uint8)
    letters[:, : len(head)] = np.frombuffer(head, np.uint8)
    for place in range(3):
        digits = _DIGITS[number // 1000 ** (2 - place) % 1000].view(np.uint8).reshape(-1, 3)
        letters[:, len(head) + 3 * place : len(head) + 3 * place + 3] = digits
    letters[:, len(head) + 9 :] = np.frombuffer(tail, np.uint8)
    return _column(letters, letters.shape[1])


def birthdays(years: NDArray[np.int64]) -> pa.Array:
    """Return the first of January of each year, and an empty text for year 0.

    >>> birthdays(np.array([1990, 0])).to_pylist()
    ['1990-01-01', '']
    """
    shown, places = np.unique(years, return_inverse=True)
    texts = pa.array([f"{year}-01-01" if year else "" for year in shown], pa.string())
    return texts.take(pa.array(places))
