"""People without their records: independent samples of one population, for benchmarks and tests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from casehaven.generate.ctdc_global import CtdcGlobalModel
from casehaven.generate.profiles import PersonModel, Profiles
from casehaven.generate.sampling import CHUNK_PEOPLE

__all__ = ["chunk_sizes", "generate_population"]


def chunk_sizes(people: int) -> Iterator[tuple[int, int]]:
    """Yield (chunk, people in it) for a number of people.

    >>> list(chunk_sizes(40_000))
    [(0, 32768), (1, 7232)]
    """
    for chunk, start in enumerate(range(0, people, CHUNK_PEOPLE)):
        yield chunk, min(CHUNK_PEOPLE, people - start)


def generate_population(people: int, seed: int, schema: str = "ctdc-global") -> pd.DataFrame:
    """Return one row per made-up person: the schema's analysis columns as categoricals over the full public value lists.

    A person's row is what all of the person's records say together. Two seeds give two independent samples of one population.
    """
    return tabulate(CtdcGlobalModel(), people, seed)


def tabulate(model: PersonModel, people: int, seed: int) -> pd.DataFrame:
    """Return one row per person of a model."""
    parts: list[Profiles] = [model.profiles(seed=seed, chunk=chunk, people=size) for chunk, size in chunk_sizes(people)]
    columns: dict[str, Any] = {}
    for name, values in model.values.items():
        codes = np.concatenate([part.codes[name] for part in parts]) if parts else np.empty(0, np.uint8)
        columns[name] = pd.Categorical.from_codes(codes.astype(np.int16), categories=pd.Index(values))
    return pd.DataFrame(columns, index=pd.RangeIndex(people))
