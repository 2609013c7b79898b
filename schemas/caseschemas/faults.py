"""A fault of a schema or mapping document: where it is, what was found, what was expected, what to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

FOUND_LENGTH = 60
"""A quotation from the document is cut to this many characters."""

FAULT_CODES: Mapping[str, str] = {
    "too-large": "The file is larger than a schema may be.",
    "not-utf8": "The file is not UTF-8 text.",
    "not-json": "The file is not JSON.",
    "too-deep": "The file nests lists and objects deeper than a schema does.",
    "duplicate-key": "An object has the same field twice.",
    "broken-character": "A text holds half of a character pair (a lone surrogate).",
    "wrong-format": "The document is of another format or version.",
    "wrong-type": "A field holds another type of JSON value.",
    "missing-field": "A required field is absent.",
    "unknown-field": "A field does not exist in the language.",
    "misplaced-field": "A field exists but does not belong here.",
    "wrong-choice": "A field holds a word that is not among its choices.",
    "wrong-text": "A text does not have the form that its field needs.",
    "wrong-number": "A number is outside its limits.",
    "wrong-length": "A list or an object has too few or too many entries.",
    "repeated-item": "A list names the same thing twice.",
    "duplicate-name": "Two things of one sort have the same name.",
    "duplicate-code": "Two values of one list have the same code.",
    "shared-word": "Two values of one attribute share a label, synonym or code.",
    "blank-word": "A word has no visible character.",
    "undeclared-language": "A label is in a language that the schema does not declare.",
    "missing-label": "A label lacks the default language.",
    "role-does-not-fit": "The role does not fit the kind.",
    "merge-does-not-fit": "The merge rule does not fit the kind.",
    "merge-needs-block": "The merge rule needs a registration date, and the schema names none.",
    "unknown-codelist": "No code list has this name.",
    "shadowed-codelist": "A code list of the document has the name of a shipped one.",
    "unknown-missing": "The schema defines no missing value of this name.",
    "blank-is-no": "The blank value means no, so an empty cell would count as an answer.",
    "missing-order": "A missing value stands after the answer no.",
    "empty-code": "A value other than the blank value has an empty code.",
    "flag-values": "A flag has not exactly one ordinary value.",
    "band-ends": "A band ends below its start, or an end is absent in the middle of the list.",
    "overlapping-bands": "Two bands hold the same number, or are not in ascending order.",
    "gapped-bands": "Numbers between two bands belong to neither.",
    "misleading-word": "A word of a band reads as numbers outside the band.",
    "bad-periods": "A period is not one of the granularity, or the last comes before the first.",
    "too-many-values": "The periods are more than a list may have.",
    "unknown-code": "No value has this code.",
    "separator-in-code": "A separator occurs inside a code.",
    "unknown-attribute": "The schema has no attribute of this name.",
    "not-analysis": "The attribute is not one that may be counted.",
    "nothing-to-analyse": "No attribute has the role analysis.",
    "person-does-not-fit": "The person key and the attribute with the role person are not the same.",
    "block-does-not-fit": "The block attribute is not a date for analysis with the merge rule min.",
    "consent-does-not-fit": "A purpose names an attribute without the role consent.",
    "unused-consent": "A consent attribute serves no purpose.",
    "no-codelist": "A hierarchy names a level of an attribute without a code list.",
    "unknown-level": "The code list has no level of this name.",
    "unplaced-value": "A value has no parent.",
    "placed-twice": "A value has two parents.",
    "derived-does-not-fit": "An attribute cannot be derived from another one, or it is derived and should be measured.",
    "unknown-hierarchy": "The attribute that it is derived from has no hierarchy of this name.",
    "underived-value": "A value of the source has no derived value.",
    "circular-rule": "A rule makes an attribute depend on itself.",
}
"""Every kind of fault of a schema and what it means."""

MAPPING_FAULT_CODES: Mapping[str, str] = {
    "unknown-schema": "No shipped schema has this id in this version.",
    "unmapped-column": "An attribute of the target schema has no entry.",
    "mapped-twice": "An attribute of the target schema has two entries.",
    "rule-does-not-fit": "The rule does not fit the kinds of the two attributes.",
    "role-crossed": "The entry would carry a person token, a consent, an identifier or free text into an attribute of another role.",
    "unmapped-code": "An ordinary value of the source attribute has no place in `recode`.",
    "no-coverage": "An attribute for analysis does not say how much of it the source standard covers, or another attribute does.",
}
"""Every further kind of fault of a mapping and what it means."""


def quoted(value: object) -> str:
    r"""Quote a piece of the document for a message: one line, no control characters, cut to a readable length.

    >>> quoted("two\nlines"), quoted(["a"] * 9), quoted({}), quoted(True)
    ("'two\\nlines'", 'a list of 9', 'an empty object', 'true')
    """
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return f"a list of {len(value)}" if value else "an empty list"
    if isinstance(value, dict):
        return "an object with " + ", ".join(quoted(key) for key in list(value)[:4]) if value else "an empty object"
    if isinstance(value, str):
        short = value if len(value) <= FOUND_LENGTH else value[: FOUND_LENGTH - 3] + "..."
        visible = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in short)
        return f"'{visible}'"
    return str(value)[:FOUND_LENGTH]


def pointer_to(*steps: str | int) -> str:
    """The JSON pointer (RFC 6901) of a place.

    >>> pointer_to("attributes", 3, "a/b~c")
    '/attributes/3/a~1b~0c'
    """
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in steps)


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One fault of a schema document."""

    code: str
    """What kind of fault: a key of FAULT_CODES or MAPPING_FAULT_CODES."""
    pointer: str
    """Where, as a JSON pointer (RFC 6901); the empty text is the whole document."""
    line: int
    """Where, as a line of the file, counted from 1."""
    found: str
    """What stands there."""
    expected: str
    """What may stand there."""
    advice: str
    """What to do about it."""

    def __post_init__(self) -> None:
        if self.code not in FAULT_CODES and self.code not in MAPPING_FAULT_CODES:
            raise ValueError(f"unknown kind of fault {self.code!r}")

    def __str__(self) -> str:
        """The fault in one line, its code last."""
        place = f"line {self.line}, {quoted(self.pointer)[1:-1] or 'the document'}"
        return f"{place}: found {self.found}, expected {self.expected}; {self.advice} [{self.code}]"
