"""Codes: positions in the public value lists, one array per column. Of real records and of synthetic ones; which they are is for the holder to say."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Codes: TypeAlias = NDArray[np.unsignedinteger[Any]]
"""Positions in a value list, one per record: 16 bits wide, or 8 where they are kept in numbers and the list is short enough."""


def narrow(codes: NDArray[Any], size: int) -> Codes:
    """Return codes of a list of `size` values in as few bytes as they need.

    >>> narrow(np.array([0, 249]), 250).dtype, narrow(np.array([0, 300]), 301).dtype
    (dtype('uint8'), dtype('uint16'))
    """
    return codes.astype(np.uint8 if size <= 1 << 8 else np.uint16, copy=False)
