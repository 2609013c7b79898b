"""People without their records: independent samples of one population, for benchmarks and tests."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from casehaven.generate.profiles import PersonModel, Profiles
from casehaven.generate.records import chunk_sizes
from casehaven.generate.registry import model_for
from caseschemas import CaseSchema, load_schema

__all__ = ["generate_population", "tabulate"]


def generate_population(people: int, seed: int, schema: CaseSchema | str = "ctdc-global") -> pd.DataFrame:
    """Return one row per made-up person: the schema's analysis columns as categoricals over the full public value lists.

    A person's row is what all of the person's records say together, so it equals the merged records of ``generate_records`` with the
    same seed. Two seeds give two independent samples of one population. Codes of a categorical are positions in the schema's list
    of values.

    Args:
        people: number of rows.
        seed: whole number from 0.
        schema: a schema, or the id or path of one.

    >>> generate_population(3, seed=7).shape
    (3, 27)
    """
    return tabulate(model_for(load_schema(schema) if isinstance(schema, str) else schema), people, seed)


def tabulate(model: PersonModel, people: int, seed: int) -> pd.DataFrame:
    """Return one row per person of a model."""
    parts: list[Profiles] = [model.profiles(seed=seed, chunk=chunk, people=size) for chunk, size in chunk_sizes(people)]
    columns: dict[str, Any] = {}
    for name, values in model.values.items():
        codes = np.concatenate([part.codes[name] for part in parts]) if parts else np.empty(0, np.uint8)
        columns[name] = pd.Categorical.from_codes(codes.astype(np.int16), categories=pd.Index(values))
    return pd.DataFrame(columns, index=pd.RangeIndex(people))
