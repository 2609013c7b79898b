"""Which made-up world belongs to which schema.

A schema that has a world of its own gets it as long as the world knows exactly the schema's columns and values (for a multi-value column: joins
exactly the schema's values); every other schema, and a changed copy, gets a network made for it (``network.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from types import MappingProxyType

from casehaven.generate.ctdc_global import CtdcGlobalModel
from casehaven.generate.ctdc_victim_perpetrator import VictimPerpetratorModel
from casehaven.generate.htcds import HtcdsModel
from casehaven.generate.network import NetworkModel, cell_codes
from casehaven.generate.profiles import PersonModel
from caseschemas import CaseSchema, SchemaAttribute

__all__ = ["MODELS", "model_for"]

MODELS: Mapping[str, Callable[[], PersonModel]] = MappingProxyType(
    {"ctdc-global": CtdcGlobalModel, "ctdc-victim-perpetrator": VictimPerpetratorModel, "htcds-2.0": HtcdsModel}
)
"""Worlds of their own, by schema id."""


def model_for(schema: CaseSchema) -> PersonModel:
    """Return the made-up world of a schema.

    >>> from caseschemas import load_schema
    >>> type(model_for(load_schema("ctdc-global"))).__name__
    'CtdcGlobalModel'
    """
    if schema.id in MODELS:
        model = _own(schema.id)
        if tuple(model.values) == tuple(one.name for one in schema.analysis) and all(
            _knows(model.values[one.name], one) for one in schema.analysis
        ):
            return model
    return NetworkModel(schema)


@cache
def _own(schema_id: str) -> PersonModel:
    """Return the world of a schema id, built once: it draws with the seed that it is given and keeps nothing."""
    return MODELS[schema_id]()


def _knows(texts: tuple[str, ...], attribute: SchemaAttribute) -> bool:
    codes = tuple(value.code for value in attribute.values)
    if attribute.kind != "multi":
        return texts == codes
    missing = attribute.first_known
    return texts[:missing] == codes[:missing] and {
        code for text in texts[missing:] for code in cell_codes(attribute, text)
    } == set(codes[missing:])
