"""What a case is: the schema language, the shipped schemas, their code lists, and mappings between schemas."""

from caseschemas.attribute import Band, Derivation, Kind, Merge, Missing, Role, SchemaAttribute, Value
from caseschemas.check import parse_schema, read_schema_file, schema_faults
from caseschemas.codebook import codebook, markdown
from caseschemas.codebook_page import page
from caseschemas.errors import (
    CaseschemasError,
    InvalidModelError,
    MappingFaultsError,
    SchemaFaultsError,
    UnknownMappingError,
    UnknownSchemaError,
)
from caseschemas.faults import FAULT_CODES, MAPPING_FAULT_CODES, Fault, quoted
from caseschemas.labels import Labels
from caseschemas.load import load_schema, shipped_schema, shipped_schema_ids
from caseschemas.load_mapping import (
    load_mapping,
    load_mapping_file,
    mapping_faults,
    parse_mapping,
    shipped_mapping_ids,
)
from caseschemas.mapping import CaseMapping, ColumnMapping, LeaveOut
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
    "MAPPING_FAULT_CODES",
    "Band",
    "BlockSpec",
    "CaseMapping",
    "CaseSchema",
    "CaseschemasError",
    "ColumnMapping",
    "Condition",
    "Derivation",
    "Fault",
    "Granularity",
    "Group",
    "Hierarchy",
    "InvalidModelError",
    "Kind",
    "Labels",
    "Language",
    "LeaveOut",
    "MappingFaultsError",
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
    "UnknownMappingError",
    "UnknownSchemaError",
    "Value",
    "codebook",
    "load_mapping",
    "load_mapping_file",
    "load_schema",
    "mapping_faults",
    "markdown",
    "page",
    "parse_mapping",
    "parse_schema",
    "quoted",
    "read_schema_file",
    "schema_faults",
    "shipped_mapping_ids",
    "shipped_schema",
    "shipped_schema_ids",
]
