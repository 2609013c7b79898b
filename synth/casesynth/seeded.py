"""The one generator for everything after measurement: fitting and sampling are post-processing of protected numbers (privacy rule 7).

It is seeded from a hash of the noisy measurements, so that anyone who holds them can repeat every later step, and so that nobody
can try seeds until a result looks right. It never draws privacy noise; that is `casesynth.privacy.mechanisms` alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from casesynth.measure import Measurement


def measurements_digest(measurements: Sequence[Measurement]) -> bytes:
    """Return the SHA-256 of the noisy tables: cliques, shares and values, in order."""
    digest = hashlib.sha256(b"casesynth-measurements/4")
    for measurement in measurements:
        head = f"{measurement.clique}|{measurement.values.shape}|{measurement.nano_rho}|"
        digest.update(head.encode())
        digest.update(np.ascontiguousarray(measurement.values, dtype="<i8").tobytes())
    return digest.digest()


def generator(seed: bytes, purpose: str) -> np.random.Generator:
    """Return the generator of one purpose; the same seed and purpose always give the same numbers."""
    mixed = hashlib.sha256(seed + b"|" + purpose.encode()).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(mixed, "big")))
