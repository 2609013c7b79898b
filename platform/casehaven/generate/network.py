"""A made-up world for any schema: a small Bayesian network over the schema's public lists.

1. The network is drawn from the schema's digest alone, so all seeds are samples of one population, and a changed schema is another
   population.
2. Every column depends on the contributor and on up to two columns before it; parents are seen through at most six groups of values.
   Values thin out like a long tail; missing values depend on the contributor most.
3. The schema's logic holds: a column that may only have a value with another one is emptied where it may not.
4. A multi-value column gets one or two values, written with the schema's first separator. The network never looks at data.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from casehaven.generate.profiles import NOWHERE, Birth, Profiles
from casehaven.generate.sampling import CategoryTable, Draws
from caseschemas import CaseSchema, SchemaAttribute

__all__ = ["NetworkModel", "cell_codes", "enforce_logic"]

_CONTRIBUTORS = 6
_GROUPS = 6
_PARENTS = 2
_KNOWN_TWICE = 0.075
_PAIRED_VALUES = 60
_SPREAD = 0.7


def enforce_logic(schema: CaseSchema, codes: dict[str, NDArray[Any]], values: Mapping[str, tuple[str, ...]]) -> None:
    """Empty, in place, every cell that the schema's logic forbids; rules may build on each other.

    Args:
        schema: whose logic.
        codes: per column, positions in its cell texts.
        values: per column, the cell texts.
    """
    for _ in schema.logic:
        for rule in schema.logic:
            condition = schema.attribute(rule.only_with.attribute)
            wanted = set(rule.only_with.codes)
            allowed = np.array([not wanted.isdisjoint(cell_codes(condition, text)) for text in values[condition.name]])
            met = allowed[codes[condition.name]]
            for name in rule.attributes:
                column = codes[name]
                column[~met & (column >= schema.attribute(name).first_known)] = schema.attribute(name).blank


def cell_codes(attribute: SchemaAttribute, text: str) -> tuple[str, ...]:
    """Return the codes that a cell as the generator writes it holds."""
    return (text,) if attribute.kind != "multi" else tuple(text.split(attribute.separators[0]))


def _cell_texts(attribute: SchemaAttribute) -> tuple[str, ...]:
    """Return what a cell may hold: the values, and for multi-value columns of moderate length also pairs of them."""
    texts = [value.code for value in attribute.values]
    if attribute.kind == "multi" and len(texts) <= _PAIRED_VALUES:
        known = texts[attribute.first_known :]
        texts += [attribute.separators[0].join(pair) for pair in combinations(known, 2)]
    return tuple(texts)


class NetworkModel:
    """Profiles for any schema."""

    def __init__(self, schema: CaseSchema) -> None:
        """Draw the network of a schema from its digest."""
        random = np.random.Generator(np.random.PCG64(int(schema.digest(), 16)))
        self.contributors = _CONTRIBUTORS
        self.ageing: Mapping[str, tuple[int, ...]] = {}
        self.births: Mapping[str, Birth] = {}
        self.made_up: Mapping[str, tuple[str, str]] = {}
        self.values: Mapping[str, tuple[str, ...]] = {one.name: _cell_texts(one) for one in schema.analysis}
        self._schema = schema
        self._home = CategoryTable(random.dirichlet(np.full(_CONTRIBUTORS, 4.0))[None, :])
        self._second = CategoryTable(np.where(np.eye(_CONTRIBUTORS, dtype=bool), 0.0, 1.0))
        self._parents: dict[str, tuple[tuple[str, NDArray[np.intp]], ...]] = {}
        self._tables: dict[str, CategoryTable] = {}
        for position, attribute in enumerate(schema.analysis):
            earlier = [one.name for one in schema.analysis[:position]]
            chosen = random.choice(len(earlier), min(_PARENTS, len(earlier)), replace=False)
            parents = []
            for parent in sorted(int(number) for number in chosen):
                size = len(self.values[earlier[parent]])
                groups = np.arange(size) if size <= _GROUPS else random.integers(0, _GROUPS, size)
                parents.append((earlier[parent], groups.astype(np.intp)))
            self._parents[attribute.name] = tuple(parents)
            self._tables[attribute.name] = CategoryTable(self._weights(attribute, len(parents), random))

    def _weights(self, attribute: SchemaAttribute, parents: int, random: np.random.Generator) -> NDArray[np.float64]:
        """Return weights, shape (contributor, group of the first parent, group of the second, cell text)."""
        size, missing, single = len(self.values[attribute.name]), attribute.first_known, len(attribute.values)
        base = np.zeros(size)
        base[missing:single] = random.permutation(np.arange(1, single - missing + 1)) ** -1.1
        base[single:] = 0.3 * random.permutation(np.arange(1, size - single + 1)) ** -1.1 if size > single else 0.0
        base[missing:] /= base[missing:].sum()
        share = random.uniform(0.1, 0.6)
        base[:missing] = share / (1 - share) * random.dirichlet(np.ones(missing))
        logits = np.log(base)[None, :] + random.normal(0, _SPREAD * 0.6, (_CONTRIBUTORS, size))
        logits[:, :missing] += random.normal(0, _SPREAD, (_CONTRIBUTORS, 1))
        table = logits.reshape(_CONTRIBUTORS, *(1,) * parents, size)
        for parent in range(parents):
            shape = [1] * parents
            shape[parent] = _GROUPS
            table = table + random.normal(0, _SPREAD, (1, *shape, size))
        return np.exp(table)

    def profiles(self, *, seed: int, chunk: int, people: int) -> Profiles:
        """Return the first ``people`` people of a chunk; the same for the same seed and chunk."""
        draws = Draws(seed, chunk, 0, people=people)
        home = self._home.pick(np.zeros(people, np.intp), draws.fine())
        second = self._second.pick(home, draws.uniform())
        elsewhere = np.where(draws.uniform() < _KNOWN_TWICE, second, np.uint8(NOWHERE)).astype(np.uint8)
        codes: dict[str, NDArray[Any]] = {}
        for name, table in self._tables.items():
            row = home.astype(np.intp)
            for parent, groups in self._parents[name]:
                row = row * _GROUPS + groups[codes[parent]]
            codes[name] = table.pick(row, draws.fine())
        enforce_logic(self._schema, codes, self.values)
        return Profiles(codes=codes, home=home, elsewhere=elsewhere)
