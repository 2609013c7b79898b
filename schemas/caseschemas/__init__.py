"""What a case is: the schema language, the shipped schemas and their code lists."""

from caseschemas.attribute import Band, Kind, Merge, Missing, Role, SchemaAttribute, Value
from caseschemas.check import parse_schema, read_schema_file, schema_faults
from caseschemas.errors import CaseschemasError, InvalidModelError, SchemaFaultsError, UnknownSchemaError
from caseschemas.faults import FAULT_CODES, Fault, quoted
from caseschemas.labels import Labels
from caseschemas.load import load_schema, shipped_schema_ids
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
    "FAULT_CODES",
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
    "quoted",
    "read_schema_file",
    "schema_faults",
    "shipped_schema_ids",
]
