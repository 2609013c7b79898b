"""Which made-up world belongs to which schema.

A schema that has a world of its own gets it as long as the world knows exactly the schema's columns and values; every other schema, and
a changed copy, gets a network made for it (``network.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from casehaven.generate.ctdc_global import CtdcGlobalModel
from casehaven.generate.network import NetworkModel
from casehaven.generate.profiles import PersonModel
from caseschemas import CaseSchema

__all__ = ["MODELS", "model_for"]

MODELS: Mapping[str, Callable[[], PersonModel]] = MappingProxyType({"ctdc-global": CtdcGlobalModel})
"""Worlds of their own, by schema id."""


def model_for(schema: CaseSchema) -> PersonModel:
    """Return the made-up world of a schema.

    >>> from caseschemas import load_schema
    >>> type(model_for(load_schema("ctdc-global"))).__name__
    'CtdcGlobalModel'
    """
    own = MODELS.get(schema.id)
    if own is not None:
        model = own()
        expected = {attribute.name: tuple(value.code for value in attribute.values) for attribute in schema.analysis}
        if dict(model.values) == expected and tuple(model.values) == tuple(expected):
            return model
    return NetworkModel(schema)
