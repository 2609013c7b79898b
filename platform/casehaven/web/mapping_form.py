"""The form of an intake mapping: what a person sees of a proposed one, and the mapping that their answers make.

1. Each attribute that is filled is one line: which columns fill it, and what each word of theirs means. Each column that fills nothing is another.
2. A guess stays a guess until its box is ticked or it is changed; a line that was changed by hand is decided. So what is sent on says what somebody looked at.
3. A column may be taken away from a line or given to one; a line without a column is gone, and a column without a line is dropped.
4. What comes back is a document of `casehaven-intake-mapping/1`. The worker checks it anew, whole: this form is a help to write it and decides nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from casehaven.web.forms import Form
from caseschemas import CaseSchema, SchemaAttribute
from caseschemas.words import normal

WORDS_SHOWN: Final = 40
"""Words of one line that are asked about; the others stay as they are."""
SHORT_LIST: Final = 30
"""Up to so many possible answers are a list to choose from; more are typed, with proposals."""
ROW: Final = "#row"
"""In the place of a column: each row is another person."""
TOGETHER: Final = "#as-proposed"
"""Several columns together tell people apart, as proposed."""
COPIED: Final = frozenset({"person", "identifier", "text"})
_DATED: Final = ("age", "birth")


@dataclass(frozen=True, kw_only=True)
class Word:
    """A word of cells, and what it means."""

    field: str
    """Name of its field."""
    word: str
    code: str
    """Empty: not understood."""
    guessed: bool


@dataclass(frozen=True, kw_only=True)
class Line:
    """One attribute that is filled."""

    field: str
    """The names of its fields begin with this."""
    attribute: SchemaAttribute
    entry: Mapping[str, Any]
    words: tuple[Word, ...]
    found: Mapping[str, Any] | None
    """What the dry run counted; None before it."""

    @property
    def guessed(self) -> bool:
        """Whether somebody has to say yes."""
        return self.entry.get("status") == "guess" or bool(self.entry.get("guesses"))

    @property
    def dated(self) -> bool:
        """Whether its columns hold dates."""
        return self.attribute.kind == "date" or self.entry.get("how") in _DATED

    @property
    def aged(self) -> bool:
        """Whether it may be filled from dates of birth."""
        return bool(self.attribute.bands)

    @property
    def long(self) -> bool:
        """Whether its values are too many to be listed at each word."""
        return len(self.attribute.values) > SHORT_LIST


def lines(mapping: Mapping[str, Any], report: Mapping[str, Any] | None, schema: CaseSchema) -> list[Line]:
    """Return the lines of a mapping, without the one of the person token.

    Args:
        mapping: a document of the format.
        report: of the dry run; None before it.
        schema: that is filled.
    """
    found = {one["to"]: one for one in (report or {}).get("attributes", ())}
    made = []
    for place, entry in enumerate(mapping["attributes"]):
        if entry["to"] == schema.person_key:
            continue
        attribute, finding = schema.attribute(entry["to"]), found.get(entry["to"])
        prefix = f"line{place}"
        made.append(
            Line(
                field=prefix,
                attribute=attribute,
                entry=entry,
                words=tuple(_words(prefix, entry, finding)),
                found=finding,
            )
        )
    return made


def person_of(mapping: Mapping[str, Any], schema: CaseSchema) -> Mapping[str, Any] | None:
    """Return the entry of the person token; None where there is none."""
    return next((entry for entry in mapping["attributes"] if entry["to"] == schema.person_key), None)


def answered(found: Mapping[str, Any], form: Form, schema: CaseSchema) -> dict[str, Any]:
    """Return the mapping that somebody's answers make of a proposed one; what cannot be understood is a fault of the form.

    Args:
        found: the proposal: `mapping`, and `report` where there was a dry run.
        form: as it was sent.
        schema: that is filled.
    """
    mapping = found["mapping"]
    entries = [_changed(line, form) for line in lines(mapping, found.get("report"), schema)]
    kept = [entry for entry in entries if entry is not None]
    _give(kept, mapping, form, schema)
    person = _person(mapping, form, schema)
    order = {attribute.name: place for place, attribute in enumerate(schema.attributes)}
    both = [*([person] if person is not None else []), *kept]
    made = {**mapping, "attributes": sorted(both, key=lambda entry: order[entry["to"]])}
    if schema.person_key is not None:
        made["person"] = "row" if person is None else "column"
    made.pop("recordKey", None)
    if form.text("record_key"):
        made["recordKey"] = form.text("record_key")
    _rules(made, mapping, form, schema)
    why = {one["column"]: one.get("why", "") for one in mapping["dropped"]}
    read = {made.get("recordKey"), *(name for entry in both for name in (*entry["from"], entry.get("at")))}
    made["dropped"] = [{"column": name, "why": why.get(name, "")} for name in mapping["columns"] if name not in read]
    return made


def differ(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Tell whether two mappings do something else; why a column is dropped, and where words that mean nothing are listed, is no difference."""
    return _bare(one) != _bare(other)


def _bare(mapping: Mapping[str, Any]) -> dict[str, Any]:
    entries = [
        {k: v for k, v in entry.items() if k not in ("status", "why", "notUnderstood", "guesses", "codes")}
        for entry in mapping["attributes"]
    ]
    codes = [{**entry.get("guesses", {}), **entry.get("codes", {})} for entry in mapping["attributes"]]
    rest = {k: v for k, v in mapping.items() if k not in ("dropped", "attributes")}
    return {**rest, "attributes": entries, "codes": codes}


def unconfirmed(mapping: Mapping[str, Any]) -> list[str]:
    """Return the attributes whose guesses nobody has said yes to."""
    return [entry["to"] for entry in mapping["attributes"] if entry.get("status") == "guess" or entry.get("guesses")]


def _words(prefix: str, entry: Mapping[str, Any], finding: Mapping[str, Any] | None) -> Iterator[Word]:
    codes, guesses = entry.get("codes", {}), entry.get("guesses", {})
    unknown = [*(finding or {}).get("words", ()), *entry.get("notUnderstood", ())]
    named = list(dict.fromkeys([*guesses, *(normal(word) for word in unknown), *codes]))
    for place, word in enumerate(named[:WORDS_SHOWN]):
        code = codes.get(word, guesses.get(word, ""))
        yield Word(field=f"{prefix}.word{place}", word=word, code=code, guessed=word in guesses and word not in codes)


def _changed(line: Line, form: Form) -> dict[str, Any] | None:
    """Return an entry as somebody answered it; None where no column is left."""
    entry = dict(line.entry)
    source = [name for place in range(len(entry["from"])) if (name := form.text(f"{line.field}.from{place}"))]
    if not source:
        return None
    yes, moved = form.ticked(f"{line.field}.yes"), source != list(entry["from"])
    entry["from"] = list(dict.fromkeys(source))
    if moved:  # another column has other words
        for name in ("codes", "guesses", "notUnderstood", "why"):
            entry.pop(name, None)
    elif line.words:
        _answer_words(entry, line, form, yes)
    if entry.get("how") == "any" and not (entry.get("codes") or entry.get("guesses")):
        if not moved:
            return None  # no word of the column means yes
        entry["how"] = "read"
    if entry.get("status") == "guess" and (yes or moved):
        entry["status"] = "decided"
    _dates(entry, line, form)
    return entry


def _answer_words(entry: dict[str, Any], line: Line, form: Form, yes: bool) -> None:
    asked = {one.word: one for one in line.words}
    codes = {word: code for word, code in entry.get("codes", {}).items() if word not in asked}
    guesses = {word: code for word, code in entry.get("guesses", {}).items() if word not in asked}
    if yes:
        codes, guesses = {**guesses, **codes}, {}
    for one in line.words:
        said = form.text(one.field)
        code = _code(line.attribute, said)
        if said and code is None:
            form.fault(one.field, "uploads.no_such_value")
        elif one.guessed and code == one.code and not yes:
            guesses[one.word] = one.code
        elif code is not None:
            codes[one.word] = code
    unknown = [one.word for one in line.words if one.word not in codes and one.word not in guesses]
    for name, value in (("codes", codes), ("guesses", guesses), ("notUnderstood", unknown)):
        if value:
            entry[name] = value
        else:
            entry.pop(name, None)


def _code(attribute: SchemaAttribute, said: str) -> str | None:
    """Return the code that was chosen or typed; None where there is none."""
    if not said:
        return None
    if said in {value.code for value in attribute.values}:
        return said
    if attribute.kind == "multi":
        words = {normal(word): value.code for value in attribute.values for word in value.words}
        return words.get(normal(said))
    place = attribute.code_of(said)
    return None if place is None else attribute.values[place].code


def _dates(entry: dict[str, Any], line: Line, form: Form) -> None:
    if line.aged:
        at = form.text(f"{line.field}.at")
        if at:
            entry["how"], entry["at"] = "age", at
        elif entry.get("how") == "age":
            entry["how"] = "read"
            entry.pop("at", None)
    if not (line.dated or entry.get("how") in _DATED):
        return
    dates = {"pivot": 30, **entry.get("dates", {})}
    dates["calendar"] = form.text(f"{line.field}.calendar") or "gregorian"
    dates.pop("order", None)
    if form.text(f"{line.field}.order"):
        dates["order"] = form.text(f"{line.field}.order")
    if dates != {"pivot": 30, "calendar": "gregorian"}:
        entry["dates"] = dates
    else:
        entry.pop("dates", None)


def _give(entries: list[dict[str, Any]], mapping: Mapping[str, Any], form: Form, schema: CaseSchema) -> None:
    """Give columns that filled nothing to attributes (rule 3)."""
    there = {attribute.name: attribute for attribute in givable(schema)}
    for place, one in enumerate(mapping["dropped"]):
        to = form.text(f"column{place}")
        if not to:
            continue
        if to not in there:
            form.fault(f"column{place}", "uploads.no_such_attribute")
            continue
        entry = next((entry for entry in entries if entry["to"] == to), None)
        if entry is None:
            how = "copy" if there[to].role in COPIED else "read"
            entries.append({"to": to, "from": [one["column"]], "how": how, "status": "decided"})
        elif one["column"] not in entry["from"]:
            entry["from"] = [*entry["from"], one["column"]]


def givable(schema: CaseSchema) -> Sequence[SchemaAttribute]:
    """Return the attributes that a column may be given to: every one but the person token and what follows from others."""
    return [one for one in schema.attributes if one.derived is None and one.name != schema.person_key]


def _person(mapping: Mapping[str, Any], form: Form, schema: CaseSchema) -> dict[str, Any] | None:
    before, said = person_of(mapping, schema), form.text("person")
    if schema.person_key is None or said == ROW:
        return None
    if before is not None and said in (TOGETHER, before["from"][0]) and (said == TOGETHER or len(before["from"]) == 1):
        decided = before.get("status") == "guess" and form.ticked("person_yes")
        return {**before, "status": "decided"} if decided else dict(before)
    if said not in mapping["columns"]:
        form.fault("person", "forms.needed")
        return None if before is None else dict(before)
    return {"to": schema.person_key, "from": [said], "how": "copy", "status": "decided"}


def _rules(made: dict[str, Any], mapping: Mapping[str, Any], form: Form, schema: CaseSchema) -> None:
    left = [one for place, one in enumerate(mapping.get("leaveOut", ())) if form.ticked(f"leave{place}")]
    filled = {entry["to"] for entry in made["attributes"]}
    made.pop("leaveOut", None)
    if left:
        made["leaveOut"] = [one for one in left if one["attribute"] in filled]
    age, rule = age_of(mapping, schema), form.text("minors")
    made.pop("minors", None)
    if age is not None and age in filled and rule in ("not-shared", "leave-out", "keep"):
        made["minors"] = {"rule": rule, "attribute": age, "below": mapping.get("minors", {}).get("below", 18)}
    if not made.get("leaveOut"):
        made.pop("leaveOut", None)


def age_of(mapping: Mapping[str, Any], schema: CaseSchema) -> str | None:
    """Return the attribute by which the rule for minors goes: the one of the mapping, or the first with bands that a column fills."""
    if "minors" in mapping:
        return str(mapping["minors"]["attribute"])
    filled = {entry["to"] for entry in mapping["attributes"]}
    return next((one.name for one in schema.attributes if one.bands and one.name in filled), None)
