"""What a case is: the schema language, the shipped schemas and their code lists."""

from caseschemas.attribute import Band, Kind, Merge, Missing, Role, SchemaAttribute, Value
from caseschemas.errors import CaseschemasError, InvalidModelError, SchemaFaultsError, UnknownSchemaError
from caseschemas.faults import Fault
from caseschemas.labels import Labels
from caseschemas.load import load_schema, parse_schema, shipped_schema_ids
from caseschemas.periods import Granularity, Periods
from caseschemas.schema import (
    BlockSpec,
    CaseSchema,
    Condition,
    Group,
    Hierarchy,
    Language,
    Parent,
    Purpose,
    Rule,
    Source,
)

__all__ = [
    "Band",
    "BlockSpec",
    "CaseSchema",
    "CaseschemasError",
    "Condition",
    "Fault",
    "Granularity",
    "Group",
    "Hierarchy",
    "InvalidModelError",
    "Kind",
    "Labels",
    "Language",
    "Merge",
    "Missing",
    "Parent",
    "Periods",
    "Purpose",
    "Role",
    "Rule",
    "SchemaAttribute",
    "SchemaFaultsError",
    "Source",
    "UnknownSchemaError",
    "Value",
    "load_schema",
    "parse_schema",
    "shipped_schema_ids",
]
