"""One person as people read them: consent, how long records are kept, and each record with the labels of its schema.

1. Every line is text of the schema or a cell of this person, without characters that a terminal would act on.
2. Empty cells are not shown; what the schema does not know is shown as it came.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from casehaven.people.consent import ConsentHistory, consent_lines
from casehaven.vault.datasets import Dataset, Person, Record
from caseschemas import CaseSchema, SchemaAttribute
from casesynth.report.markup import visible

_LANGUAGE = "en"


@dataclass(frozen=True, kw_only=True)
class PersonView:
    """What an organisation has on one person in one dataset."""

    dataset: Dataset
    person: Person
    consent: ConsentHistory = field(repr=False)
    records: tuple[Record, ...] = field(repr=False)
    """Oldest first, replaced ones included."""

    @property
    def counting(self) -> tuple[Record, ...]:
        """The records that count: those that no correction replaced. A correction stands where the record stood that it replaced first."""
        places = {record.record_id: place for place, record in enumerate(self.records)}
        current = (record for record in self.records if record.superseded_by is None)
        return tuple(sorted(current, key=lambda record: places[(record, *self.replaced_by(record))[-1].record_id]))

    def replaced_by(self, record: Record) -> tuple[Record, ...]:
        """Return the records that one stands for, newest first."""
        before = [each for each in self.records if each.superseded_by == record.record_id]
        return tuple(older for each in before for older in (each, *self.replaced_by(each)))


def view_lines(view: PersonView, *, history: bool = False) -> Iterator[str]:
    """Yield the plain lines of a person; with `history`, also what every correction replaced."""
    schema, kept = view.dataset.schema, view.person.retain_until
    yield f"dataset   {view.dataset.id}, schema {schema.id} {schema.version}"
    yield f"in vault  since {view.person.created_month}"
    yield f"kept      {'until ' + kept.isoformat() if kept is not None else 'no end date set'}"
    for place, line in enumerate(consent_lines(view.consent)):
        yield f"{'consent' if place == 0 else '':<9} {line}"
    counting = view.counting
    for number, record in enumerate(counting, start=1):
        yield ""
        yield f"record {number} of {len(counting)}"
        yield from _cells(schema, record.cells, "  ")
        older = view.replaced_by(record)
        if older and not history:
            yield "  (was corrected; see what it replaced with --history)"
        for back, before in enumerate(older, start=1) if history else ():
            yield "  before the last correction:" if back == 1 else "  before the correction before that:"
            yield from _changes(schema, before.cells, (record, *older)[back - 1].cells)


def _cells(schema: CaseSchema, cells: Mapping[str, str], margin: str) -> Iterator[str]:
    shown = [
        (attribute, cells[attribute.name])
        for attribute in schema.attributes
        if cells.get(attribute.name) and attribute.role != "consent"  # what counts stands above, with its date
    ]
    width = max((len(label_of(attribute)) for attribute, _ in shown), default=0)
    for attribute, cell in shown:
        yield f"{margin}{label_of(attribute):<{width}}  {value_of(attribute, cell)}"


def _changes(schema: CaseSchema, before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[str]:
    """Yield what a replaced record held where the next one differs."""
    for attribute in schema.attributes:
        was, now = before.get(attribute.name, ""), after.get(attribute.name, "")
        if was != now:
            yield f"    {label_of(attribute)}: {value_of(attribute, was) or '(empty)'}"


def label_of(attribute: SchemaAttribute) -> str:
    """Return an attribute's label with its name, which corrections use."""
    label = visible(attribute.labels.text(_LANGUAGE))
    return f"{label} [{attribute.name}]" if label else attribute.name


def value_of(attribute: SchemaAttribute, cell: str) -> str:
    """Return what a cell says: the labels of its values, or the cell as it came where the schema does not know all of it."""
    if not cell or not attribute.values:
        return one_line(cell)
    parts: Sequence[str] = (cell,)
    if attribute.separators and attribute.code_of(cell) is None:
        parts = attribute.parts(cell)
    places = [attribute.code_of(part) for part in parts]
    if any(place is None for place in places):
        return f"{one_line(cell)} (not in the list of the schema)"
    values = [attribute.values[place] for place in places if place is not None]
    return ", ".join(visible(value.labels.text(_LANGUAGE) or value.code) for value in values)


def one_line(text: str) -> str:
    """Return text on one line that a terminal shows and does not act on."""
    return visible(" ".join(text.split()))
