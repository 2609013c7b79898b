"""The closed grammar of questions, `casehaven-question/1`: a strict reader, and the one canonical form (privacy rule 22).

1. Nothing but the keys, attributes and values that are named here and in the domain is understood. There is no code, no pattern, no free text: a text
   attribute is not in the domain. What is refused is refused with its place in the document.
2. The reader sees the question and the domain, never data. Limits are constants.
3. Equal questions have equal canonical forms, whatever the order of keys, of values in a list, or of parts of a condition.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from casesynth.answers.conditions import ConditionError, everybody, normal, written
from casesynth.answers.faults import fault_of
from casesynth.answers.fields import LABEL_MAX, QuestionError, a_label, a_list, a_number, a_whole_number, an_object
from casesynth.answers.question import (
    ALL,
    QUESTION_FORMAT,
    REST,
    Accuracy,
    AtEpsilon,
    Axis,
    Changes,
    Condition,
    Counts,
    Every,
    Fact,
    FactAxis,
    Mean,
    Part,
    Percentages,
    Quantiles,
    Question,
    Records,
    Show,
    Some,
    Split,
    Where,
    WithinPeople,
)
from casesynth.answers.written import written_axis, written_show
from casesynth.canonical import JsonFaultError, JsonValue, parse_json
from casesynth.domain import Attribute, Domain
from casesynth.privacy.accounting import EPSILON_MAX, EPSILON_MIN

QUESTION_BYTES: Final = 65_536
AXES_MAX: Final = 4
FACT_AXES_MAX: Final = 2
FACTS_MAX: Final = 32
CONDITIONS_MAX: Final = 32
DEPTH_MAX: Final = 4
RECORDS_MAX: Final = 100
LEVELS_MAX: Final = 19
WITHIN_MAX: Final = 1_000_000_000

Numbers = Mapping[str, tuple[tuple[float, float] | None, ...]]
"""Per attribute, per value: its lowest and highest number; public, of the schema."""


Levels = Mapping[str, tuple[str, tuple[tuple[str, tuple[str, ...]], ...]]]
"""Per coarser level of an attribute: the attribute, and label and codes of each group; public, of the schema."""


def parse_question(
    unverified: bytes | Mapping[str, Any],
    domain: Domain,
    numbers: Numbers | None = None,
    blocks: Sequence[str] = (),
    levels: Levels | None = None,
) -> Question:
    """Return a question that fits the domain.

    Args:
        unverified: JSON, or a document that was read from it.
        domain: the public value lists.
        numbers: which numbers the values of an attribute stand for, where a schema says so.
        blocks: public list of the years of first registration that a question may name; "" for people of whom it is not known.
        levels: coarser levels that may be axes, such as the region of a country.

    Raises:
        QuestionError: it does not fit; names the place.
    """
    document: object = unverified
    if isinstance(unverified, bytes):
        if len(unverified) > QUESTION_BYTES:
            raise QuestionError(f"a question has at most {QUESTION_BYTES} bytes")
        try:
            document = parse_json(unverified, "the question")
        except JsonFaultError as error:
            raise QuestionError(str(error)) from None
    reader = _Reader(domain=domain, numbers=numbers or {}, blocks=tuple(blocks), levels=levels or {})
    return reader.question(document)


@dataclass(kw_only=True)
class _Reader:
    domain: Domain
    numbers: Numbers
    blocks: tuple[str, ...]
    levels: Levels
    conditions: int = 0

    def question(self, raw: object) -> Question:
        optional = {"format", "count", "by", "where", "show", "totals", "registered"}
        fields = an_object(raw, "", needed={"accuracy"}, optional=optional)
        if fields.get("format", QUESTION_FORMAT) != QUESTION_FORMAT:
            raise QuestionError(f"/format: expected {QUESTION_FORMAT!r}")
        by = [
            self.axis(entry, f"/by/{place}")
            for place, entry in enumerate(a_list(fields.get("by", []), "/by", most=AXES_MAX))
        ]
        show = self.show(fields.get("show", "counts"), by)
        if isinstance(show, Mean | Quantiles):
            by.append(self.whole(show.attribute))
        fault = fault_of(by, show, most_axes=AXES_MAX, most_fact_axes=FACT_AXES_MAX)
        if fault is not None:
            raise QuestionError(fault)
        where = self.where(fields["where"], "/where") if "where" in fields else everybody()
        totals = fields.get("totals", False)
        if not isinstance(totals, bool):
            raise QuestionError("/totals: expected true or false")
        if totals and not isinstance(show, Counts):
            raise QuestionError("/totals: only counts are shown with totals")
        unit = self.unit(fields.get("count", "people"))
        registered = self.registered(fields["registered"]) if "registered" in fields else None
        canonical: dict[str, JsonValue] = {
            "format": QUESTION_FORMAT,
            "count": "people" if unit is None else {"records": {"at_most": unit.at_most}},
            "by": [written_axis(axis) for axis in by],
            "where": written(where, self.domain),
            "show": written_show(show),
            "totals": totals,
            **({} if registered is None else {"registered": list(registered)}),
        }
        return Question(
            unit=unit,
            by=tuple(by),
            where=where,
            show=show,
            totals=totals,
            accuracy=_accuracy(fields["accuracy"]),
            canonical=canonical,
            registered=registered,
        )

    def registered(self, raw: object) -> tuple[str, ...] | None:
        """Return the years of first registration that are read, in the order of the list; None for all of them."""
        named = a_list(raw, "/registered", least=1, most=max(len(self.blocks), 1))
        for place, year in enumerate(named):
            if not isinstance(year, str) or year not in self.blocks:
                raise QuestionError(f"/registered/{place}: expected a year of the datasets' schema, or '' for unknown")
        if len(set(named)) != len(named):
            raise QuestionError("/registered: a year is named twice")
        return None if len(named) == len(self.blocks) else tuple(year for year in self.blocks if year in named)

    def unit(self, raw: object) -> Records | None:
        if raw == "people":
            return None
        fields = an_object(raw, "/count", needed={"records"}, instead="'people'")
        inner = an_object(fields["records"], "/count/records", needed={"at_most"})
        return Records(at_most=a_whole_number(inner["at_most"], "/count/records/at_most", 1, RECORDS_MAX))

    # --- axes ---

    def axis(self, raw: object, place: str) -> Axis:
        if isinstance(raw, str):
            if raw in self.levels:
                return self.level(raw, place)
            attribute = self.attribute(raw, place)
            return self.listed(attribute) if attribute.multi else self.whole(attribute.name)
        fields = an_object(
            raw,
            place,
            needed=set(),
            optional={"attribute", "groups", "period", "label", "facts"},
            instead="an attribute",
        )
        if "facts" in fields:
            an_object(raw, place, needed={"label", "facts"})
            return self.facts(fields, place)
        attribute = self.attribute(fields.get("attribute"), f"{place}/attribute")
        if attribute.multi and len(fields) > 1:
            raise QuestionError(f"{place}: a person has several values of {attribute.name}; name facts to group them")
        if set(fields) == {"attribute"}:
            return self.axis(attribute.name, place)
        if set(fields) == {"attribute", "period"}:
            if fields["period"] != "year":
                raise QuestionError(f"{place}/period: expected 'year'")
            return self.years(attribute, place)
        an_object(raw, place, needed={"attribute", "groups"})
        return self.grouped(attribute, fields["groups"], f"{place}/groups")

    def level(self, name: str, place: str) -> Axis:
        of, groups = self.levels[name]
        written = [{"label": label, "codes": codes} for label, codes in groups]
        if not self.domain.attribute(of).multi:
            return self.grouped(self.domain.attribute(of), written, place)
        return self.facts({"label": name, "facts": [{"attribute": of, **entry} for entry in written]}, place)

    def whole(self, name: str) -> Split:
        attribute = self.domain.attribute(name)
        parts = [
            Part(label=code, positions=frozenset({place}), answered=place not in attribute.missing)
            for place, code in enumerate(attribute.values)
        ]
        return Split(attribute=name, parts=tuple(parts))

    def years(self, attribute: Attribute, place: str) -> Split:
        known = [position for position in range(len(attribute.values)) if position not in attribute.missing]
        if not all(attribute.values[position][:4].isdigit() for position in known):
            raise QuestionError(f"{place}/period: {attribute.name} is no date")
        years: dict[str, set[int]] = {}
        for position in known:
            years.setdefault(attribute.values[position][:4], set()).add(position)
        return self._partition(attribute, [(year, frozenset(found)) for year, found in years.items()])

    def grouped(self, attribute: Attribute, raw: object, place: str) -> Split:
        groups: list[tuple[str, frozenset[int]]] = []
        for number, entry in enumerate(a_list(raw, place, least=1, most=len(attribute.values))):
            where = f"{place}/{number}"
            fields = an_object(entry, where, needed={"label", "codes"})
            codes = self.codes(attribute, fields["codes"], f"{where}/codes")
            if any(codes & other for _, other in groups):
                raise QuestionError(f"{where}/codes: a value is in two groups")
            groups.append((a_label(fields["label"], f"{where}/label"), codes))
        labels = [label for label, _ in groups]
        used = {REST, ALL, *(attribute.values[position] for position in attribute.missing)}
        if len(set(labels)) != len(labels) or used & set(labels):
            raise QuestionError(
                f"{place}: expected another label for each group, and none of {REST!r}, {ALL!r} and missing values"
            )
        return self._partition(attribute, groups)

    def _partition(self, attribute: Attribute, groups: Sequence[tuple[str, frozenset[int]]]) -> Split:
        """Return the groups, then each missing value that none holds, then all other values together."""
        taken = frozenset[int]().union(*(positions for _, positions in groups))
        left = [position for position in range(len(attribute.values)) if position not in taken]
        missing = [(attribute.values[p], frozenset({p})) for p in left if p in attribute.missing]
        rest = frozenset(left) - attribute.missing
        every = [*groups, *missing, *([(REST, rest)] if rest else [])]
        parts = [Part(label=label, positions=p, answered=not p & attribute.missing) for label, p in every]
        return Split(attribute=attribute.name, parts=tuple(parts))

    def listed(self, attribute: Attribute) -> FactAxis:
        known = [place for place in range(len(attribute.values)) if place not in attribute.missing]
        facts = [Fact(label=attribute.values[p], holds=((attribute.name, frozenset({p})),)) for p in known]
        return FactAxis(label=attribute.name, facts=tuple(facts), answered=self._answered([attribute]))

    def facts(self, fields: Mapping[str, Any], place: str) -> FactAxis:
        facts, about = [], []
        for number, entry in enumerate(a_list(fields["facts"], f"{place}/facts", least=1, most=FACTS_MAX)):
            where = f"{place}/facts/{number}"
            inner = an_object(entry, where, needed={"label", "attribute", "codes"})
            attribute = self.attribute(inner["attribute"], f"{where}/attribute")
            codes = self.codes(attribute, inner["codes"], f"{where}/codes")
            about.append((attribute, codes))
            facts.append(Fact(label=a_label(inner["label"], f"{where}/label"), holds=((attribute.name, codes),)))
        if len({fact.label for fact in facts}) != len(facts):
            raise QuestionError(f"{place}/facts: expected another label for each fact")
        known = all(not codes & attribute.missing for attribute, codes in about)
        attributes = {attribute.name: attribute for attribute, _ in about}
        return FactAxis(
            label=a_label(fields["label"], f"{place}/label"),
            facts=tuple(facts),
            answered=self._answered([attributes[name] for name in sorted(attributes)]) if known else None,
        )

    def _answered(self, attributes: Sequence[Attribute]) -> Fact:
        holds = [(a.name, frozenset(range(len(a.values))) - a.missing) for a in attributes]
        return Fact(label="answered", holds=tuple(holds))

    # --- conditions ---

    def where(self, raw: object, place: str) -> Where:
        try:
            return normal(self.condition(raw, place, 1), self.domain)
        except ConditionError as error:
            raise QuestionError(f"{place}: {error}") from None

    def condition(self, raw: object, place: str, depth: int) -> Where:
        keys = {"attribute", "equals", "in", "between", "all", "any"}
        fields = an_object(raw, place, needed=set(), optional=keys)
        for word, kind in (("all", Every), ("any", Some)):
            if word in fields:
                an_object(raw, place, needed={word})
                if depth >= DEPTH_MAX:
                    raise QuestionError(f"{place}: conditions nest at most {DEPTH_MAX} deep")
                entries = a_list(fields[word], f"{place}/{word}", least=1, most=CONDITIONS_MAX)
                return kind(
                    parts=tuple(
                        self.condition(entry, f"{place}/{word}/{number}", depth + 1)
                        for number, entry in enumerate(entries)
                    )
                )
        self.conditions += 1
        if self.conditions > CONDITIONS_MAX:
            raise QuestionError(f"{place}: a question has at most {CONDITIONS_MAX} conditions")
        attribute = self.attribute(fields.get("attribute"), f"{place}/attribute")
        (word,) = set(fields) - {"attribute"} if len(fields) == 2 else ("",)
        if word == "equals":
            return Condition(
                attribute=attribute.name, positions=self.codes(attribute, [fields[word]], f"{place}/equals")
            )
        if word == "in":
            return Condition(attribute=attribute.name, positions=self.codes(attribute, fields[word], f"{place}/in"))
        if word == "between":
            return Condition(attribute=attribute.name, positions=self.between(attribute, fields[word], place))
        raise QuestionError(f"{place}: expected an attribute with one of equals, in and between; or all; or any")

    def between(self, attribute: Attribute, raw: object, place: str) -> frozenset[int]:
        ends = a_list(raw, f"{place}/between", least=2, most=2)
        first, last = (next(iter(self.codes(attribute, [end], f"{place}/between"))) for end in ends)
        if attribute.multi or {first, last} & attribute.missing or first > last:
            raise QuestionError(
                f"{place}/between: expected two values of a single-valued attribute, the earlier in its list first"
            )
        return frozenset(range(first, last + 1)) - attribute.missing

    # --- what is shown ---

    def show(self, raw: object, by: Sequence[Axis]) -> Show:
        if raw == "counts":
            return Counts()
        if raw == "percentages":
            return Percentages()
        optional = {"mean", "median", "quantiles", "of", "changes", "bounds"}
        fields = an_object(raw, "/show", needed=set(), optional=optional, instead="'counts', 'percentages'")
        if set(fields) == {"changes"}:
            name = self.attribute(fields["changes"], "/show/changes").name
            if name not in [axis.attribute for axis in by if isinstance(axis, Split)]:
                raise QuestionError("/show/changes: expected an attribute of /by with one value for each person")
            return Changes(attribute=name)
        if set(fields) == {"median"}:
            return Quantiles(attribute=self.single(fields["median"], "/show/median").name, levels=(0.5,))
        if set(fields) == {"quantiles", "of"}:
            levels = [
                a_number(level, f"/show/quantiles/{number}", 0.01, 0.99)
                for number, level in enumerate(a_list(fields["quantiles"], "/show/quantiles", least=1, most=LEVELS_MAX))
            ]
            return Quantiles(attribute=self.single(fields["of"], "/show/of").name, levels=tuple(sorted(set(levels))))
        if "mean" in fields and set(fields) <= {"mean", "bounds"}:
            attribute = self.single(fields["mean"], "/show/mean")
            ends = self.bounds(attribute, fields.get("bounds", {}))
            known = self.numbers.get(attribute.name, (None,) * len(ends))
            named = frozenset(place for place, pair in enumerate(ends) if pair is not None and pair != known[place])
            return Mean(attribute=attribute.name, bounds=ends, named=named)
        raise QuestionError("/show: expected counts, percentages, changes, mean, median, or quantiles with of")

    def bounds(self, attribute: Attribute, raw: object) -> tuple[tuple[float, float] | None, ...]:
        given = an_object(raw, "/show/bounds", needed=set(), optional=set(attribute.values))
        known = self.numbers.get(attribute.name, (None,) * len(attribute.values))
        found: list[tuple[float, float] | None] = []
        for position, code in enumerate(attribute.values):
            ends = known[position]
            if code in given:
                place = f"/show/bounds/{code[:LABEL_MAX]}"
                low, high = (a_number(end, place, -1e9, 1e9) for end in a_list(given[code], place, least=2, most=2))
                if low > high:
                    raise QuestionError(f"{place}: expected the lower end first")
                ends = (low, high)
            if position in attribute.missing:
                ends = None
            elif ends is None or not all(map(math.isfinite, ends)):
                raise QuestionError(
                    f"/show/bounds: {attribute.name} has the value {code[:LABEL_MAX]!r}, whose lowest and highest number is not known: name them"
                )
            found.append(ends)
        return tuple(found)

    # --- the domain ---

    def attribute(self, raw: object, place: str) -> Attribute:
        for attribute in self.domain.attributes:
            if attribute.name == raw:
                return attribute
        names = ", ".join(attribute.name for attribute in self.domain.attributes[:12])
        raise QuestionError(f"{place}: expected an attribute that may be counted, such as {names}")

    def single(self, raw: object, place: str) -> Attribute:
        attribute = self.attribute(raw, place)
        if attribute.multi:
            raise QuestionError(f"{place}: expected an attribute with one value for each person")
        return attribute

    def codes(self, attribute: Attribute, raw: object, place: str) -> frozenset[int]:
        found = set()
        for number, code in enumerate(a_list(raw, place, least=1, most=len(attribute.values))):
            if code not in attribute.values or not isinstance(code, str):
                raise QuestionError(f"{place}/{number}: expected a value of {attribute.name}")
            position = attribute.values.index(code)
            if attribute.multi and position in attribute.missing:
                raise QuestionError(
                    f"{place}/{number}: nothing says of {attribute.name} that it is missing; expected an answer"
                )
            found.add(position)
        return frozenset(found)


def _accuracy(raw: object) -> Accuracy:
    fields = an_object(raw, "/accuracy", needed=set(), optional={"within_people", "epsilon"})
    if set(fields) == {"within_people"}:
        return WithinPeople(people=a_number(fields["within_people"], "/accuracy/within_people", 1, WITHIN_MAX))
    if set(fields) == {"epsilon"}:
        return AtEpsilon(epsilon=a_number(fields["epsilon"], "/accuracy/epsilon", EPSILON_MIN, EPSILON_MAX))
    raise QuestionError("/accuracy: expected within_people or epsilon")
