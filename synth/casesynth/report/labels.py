"""What people read for attributes and values: the English labels of a schema, or the codes of the files.

1. Labels are public: they come from the schema, as the value lists do, never from records.
2. What a schema does not know is shown by its code. Where two attributes have the same label, the code stands with it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from caseschemas import CaseSchema
from casesynth.domain import Column

LANGUAGE = "en"
"""Language of the report and the datasheet."""


@dataclass(frozen=True, kw_only=True)
class ReportLabels:
    """Labels by code.

    >>> from caseschemas import load_schema
    >>> labels = ReportLabels(schema=load_schema("ctdc-global"))
    >>> labels.attribute("ageBroad"), labels.value("citizenship", "UKR"), labels.with_code("gender")
    ('Age at registration', 'Ukraine', 'Gender (gender)')
    >>> ReportLabels(schema=None).value("citizenship", "UKR")
    'UKR'
    """

    schema: CaseSchema | None
    """None: codes are shown."""

    def attribute(self, name: str) -> str:
        """Return the label of an attribute."""
        return self._attributes.get(name, name)

    def value(self, name: str, code: str) -> str:
        """Return the label of one value of an attribute."""
        return self._values.get(name, {}).get(code, code)

    def column(self, column: Column) -> str:
        """Return the label of a column: of its attribute, and of its value if the attribute is a multi-value one."""
        if column.attribute not in self._attributes:
            return column.name
        label = self.attribute(column.attribute)
        return label if column.value is None else f"{label}: {self.value(column.attribute, column.value)}"

    def with_code(self, name: str) -> str:
        """Return the label of an attribute with its code, as the files write it; the code alone where there is no label."""
        label = self.attribute(name)
        return label if label == name or label.endswith(f"({name})") else f"{label} ({name})"

    def group_of(self, name: str) -> str | None:
        """Return the name of the first group of the schema that the attribute belongs to."""
        groups = self.schema.groups if self.schema is not None else ()
        return next((group.name for group in groups if name in group.members), None)

    def group(self, name: str) -> str:
        """Return the label of a group."""
        groups = self.schema.groups if self.schema is not None else ()
        return next((group.labels.text(LANGUAGE) for group in groups if group.name == name), "") or name

    @cached_property
    def _attributes(self) -> Mapping[str, str]:
        known = self.schema.analysis if self.schema is not None else ()
        labels = {attribute.name: attribute.labels.text(LANGUAGE) for attribute in known}
        often = Counter(labels.values())
        return {
            name: label if often[label] == 1 else f"{label} ({name})" for name, label in labels.items() if label.strip()
        }

    @cached_property
    def _values(self) -> Mapping[str, Mapping[str, str]]:
        known = self.schema.analysis if self.schema is not None else ()
        return {
            attribute.name: {
                value.code: label for value in attribute.values if (label := value.labels.text(LANGUAGE)).strip()
            }
            for attribute in known
        }
