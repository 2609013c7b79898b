"""The errors that caseschemas raises."""

from __future__ import annotations

from collections.abc import Sequence

from caseschemas.faults import Fault


class CaseschemasError(Exception):
    """Root of the errors of this package. A case schema is public, so messages may quote it; they never quote case records."""


class InvalidModelError(CaseschemasError):
    """A value of the model was built by hand against the rules that a checked schema document always keeps."""


class UnknownSchemaError(CaseschemasError):
    """No shipped schema has this id, or no file is at this path."""


class UnknownMappingError(CaseschemasError):
    """No shipped mapping leads from the one schema to the other, or no file is at this path."""


class SchemaFaultsError(CaseschemasError):
    """A schema document has faults.

    >>> from caseschemas.faults import Fault
    >>> fault = Fault(code="missing-field", pointer="", line=1, found="no field 'id'", expected="a field 'id'", advice="add it")
    >>> print(SchemaFaultsError([fault], name="mine.json"))
    mine.json: 1 fault
    line 1, the document: found no field 'id', expected a field 'id'; add it [missing-field]
    """

    faults: tuple[Fault, ...]
    """Every fault, in the order of the document."""

    def __init__(self, faults: Sequence[Fault], *, name: str = "schema") -> None:
        self.faults = tuple(faults)
        count = len(self.faults)
        lines = [f"{name}: {count} fault{'' if count == 1 else 's'}", *(str(fault) for fault in self.faults)]
        super().__init__("\n".join(lines))


class MappingFaultsError(SchemaFaultsError):
    """A mapping document has faults."""
