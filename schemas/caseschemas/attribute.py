"""One attribute of a case record and its public list of values.

1. The list is complete and public: it comes from the schema, never from data (privacy rule 3).
2. Missing is explicit: the list starts with the attribute's missing values (privacy rule 4). The first of them, the *blank value*, is what an
   empty cell becomes. `unknown` and `not_asked` are no answer; `no` is an answer (somebody asked and the answer was no).
3. A word (code, label or synonym) stands for one value only.
4. A cell that no value understands becomes the value named by `outside`.
5. Identifiers and free text have no list of values and never leave the vault.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal, get_args

from caseschemas.cells import NO_WORDS, YES_WORDS, number_range, partial_date, whole_number
from caseschemas.errors import InvalidModelError
from caseschemas.labels import NO_LABELS, Labels
from caseschemas.periods import Periods
from caseschemas.words import normal

Kind = Literal["category", "multi", "flag", "number", "date", "country", "identifier", "text"]
"""What a cell of the attribute holds."""

Role = Literal["analysis", "person", "consent", "identifier", "text"]
"""What the attribute is used for; only `analysis` attributes are ever counted."""

Merge = Literal["min", "max", "agree", "earliest", "latest", "union"]
"""How the values of several records of one person become one."""

Missing = Literal["unknown", "not_asked", "no"]
"""Why there is no positive answer."""

UNLISTED_KINDS: frozenset[str] = frozenset({"identifier", "text"})
"""Kinds without a list of values."""

MERGES: dict[str, frozenset[str]] = {
    "category": frozenset({"min", "max", "agree", "earliest", "latest"}),
    "flag": frozenset({"min", "max", "agree", "earliest", "latest"}),
    "number": frozenset({"min", "max", "agree", "earliest", "latest"}),
    "date": frozenset({"min", "max", "agree", "earliest", "latest"}),
    "country": frozenset({"agree", "earliest", "latest"}),
    "multi": frozenset({"union"}),
    "identifier": frozenset(),
    "text": frozenset(),
}
"""The merge rules that fit each kind. The order of a country list means nothing, so countries have no min and max."""

ROLES: dict[str, frozenset[str]] = {
    "category": frozenset({"analysis"}),
    "flag": frozenset({"analysis", "consent"}),
    "number": frozenset({"analysis"}),
    "date": frozenset({"analysis"}),
    "country": frozenset({"analysis"}),
    "multi": frozenset({"analysis"}),
    "identifier": frozenset({"identifier", "person"}),
    "text": frozenset({"text"}),
}
"""The roles that fit each kind."""


@dataclass(frozen=True, kw_only=True)
class Value:
    """One value that an attribute may have.

    >>> Value(code="Woman", labels=Labels({"en": "Woman"}), synonyms=("Female",)).answered
    True
    """

    code: str
    """What is written in files; unique in the attribute, may be empty for a missing value."""
    labels: Labels
    """What people read, per language."""
    synonyms: tuple[str, ...] = ()
    """Other words for it that files use."""
    missing: Missing | None = None
    """Why there is no positive answer; None for an ordinary value."""

    @property
    def answered(self) -> bool:
        """Whether the person answered: every ordinary value, and `no`."""
        return self.missing is None or self.missing == "no"

    @property
    def words(self) -> tuple[str, ...]:
        """Every word that stands for it, as written."""
        return (self.code, *self.labels.values(), *self.synonyms)


@dataclass(frozen=True, kw_only=True)
class Band:
    """The whole numbers from low to high, both included; a decimal number belongs to the whole number below it."""

    low: int | None
    """Lowest number; None for no lower end."""
    high: int | None
    """Highest number; None for no upper end."""

    def __post_init__(self) -> None:
        if self.low is not None and self.high is not None and self.low > self.high:
            raise InvalidModelError(
                f"band from {self.low} to {self.high}: the lower end must not be above the upper end"
            )

    def holds(self, number: int) -> bool:
        """Whether a number lies in the band."""
        return (self.low is None or self.low <= number) and (self.high is None or number <= self.high)


@dataclass(frozen=True, kw_only=True)
class Derivation:
    """How an attribute follows from another one: a public table."""

    attribute: str
    """Name of the attribute that it follows from."""
    codes: tuple[str, ...]
    """Code of the value for each value of that attribute, in its public order, missing ones included."""


@dataclass(frozen=True, kw_only=True)
class SchemaAttribute:
    """One attribute of a case record.

    >>> from caseschemas import load_schema
    >>> age = load_schema("ctdc-global").attribute("ageBroad")
    >>> age.code_of("09--17"), age.code_of("12"), age.code_of("  "), age.code_of("-5"), age.values[2].code
    (2, 2, 0, None, '9-17')
    """

    name: str
    """Column name in files; unique in the schema."""
    kind: Kind
    """What a cell holds."""
    role: Role
    """What it is used for."""
    labels: Labels
    """What people read, per language."""
    description: Labels = NO_LABELS
    """What it means, per language; may be empty."""
    synonyms: tuple[str, ...] = ()
    """Other headers that the column has in files."""
    values: tuple[Value, ...] = ()
    """The complete public list in public order, missing values first; empty for identifiers and text."""
    merge: Merge | None = None
    """How several records of one person become one; None for identifiers and text."""
    outside: str | None = None
    """Code of the value that a cell outside the list becomes; None for identifiers and text."""
    separators: tuple[str, ...] = ()
    """What stands between the values of one cell; for multi only."""
    bands: tuple[Band, ...] = ()
    """For numbers: the band of each ordinary value, in the same order, ascending and without gap."""
    periods: Periods | None = None
    """For dates: the periods that the ordinary values stand for."""
    derived: Derivation | None = None
    """What it follows from; None where it is recorded. Cells of a derived attribute are never read for counting."""

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind) or self.role not in ROLES[self.kind]:
            raise InvalidModelError(f"attribute {self.name!r}: role {self.role!r} does not fit kind {self.kind!r}")
        if self.kind in UNLISTED_KINDS:
            if self.values or self.merge is not None or self.outside is not None:
                raise InvalidModelError(
                    f"attribute {self.name!r}: kind {self.kind!r} has no values, merge rule or outside value"
                )
            return
        if self.merge not in MERGES[self.kind]:
            raise InvalidModelError(
                f"attribute {self.name!r}: merge rule {self.merge!r} does not fit kind {self.kind!r}"
            )
        missing = [value.missing is not None for value in self.values]
        if not missing or not missing[0] or missing != sorted(missing, reverse=True) or all(missing):
            raise InvalidModelError(
                f"attribute {self.name!r}: values must be the missing ones, at least one, then the others, at least one"
            )
        if self.outside not in [value.code for value in self.values]:
            raise InvalidModelError(f"attribute {self.name!r}: outside value {self.outside!r} is not in its list")
        ordinary = missing.count(False)
        if len(self.bands) != (ordinary if self.kind == "number" else 0):
            raise InvalidModelError(
                f"attribute {self.name!r}: got {len(self.bands)} bands for {ordinary} values of kind {self.kind!r}"
            )
        if (
            (self.periods is not None) != (self.kind == "date")
            or self.periods is not None
            and len(self.periods) != ordinary
        ):
            raise InvalidModelError(
                f"attribute {self.name!r}: periods must be there for a date, one per value, and for nothing else"
            )
        if bool(self.separators) != (self.kind == "multi"):
            raise InvalidModelError(
                f"attribute {self.name!r}: separators must be there for kind 'multi' and for nothing else"
            )
        if self.derived is not None and not set(self.derived.codes) <= {value.code for value in self.values}:
            raise InvalidModelError(f"attribute {self.name!r}: is derived by codes that it does not have")
        owners: dict[str, int] = {}
        for position, value in enumerate(self.values):
            for word in {normal(word) for word in value.words}:
                if owners.setdefault(word, position) != position:
                    raise InvalidModelError(f"attribute {self.name!r}: two values share the word {word!r}")
        if owners.get("", self.blank) != self.blank:
            raise InvalidModelError(f"attribute {self.name!r}: only the first value may have an empty code")

    @property
    def blank(self) -> int:
        """Position of the value that an empty cell becomes."""
        return 0

    @cached_property
    def first_known(self) -> int:
        """Position of the first ordinary value: the number of missing values."""
        return sum(value.missing is not None for value in self.values)

    @cached_property
    def outside_position(self) -> int:
        """Position of the value that a cell outside the list becomes."""
        return self.position(self.outside or "")

    def position(self, code: str) -> int:
        """The position of the value with this exact code.

        Raises:
            KeyError: no value has this code.
        """
        return self._positions[code]

    def code_of(self, text: str) -> int | None:
        """Read one raw cell: the position of its value in `values`, or None if the cell is outside the list.

        Understands codes, labels in every language and synonyms, whatever the case, spacing and Unicode form; for flags also the words of yes
        and no (`1.0`, `true`, `no`); for numbers a number or a range inside one band; for dates a date at least as fine as the periods.
        Costs one look-up for a cell that repeats a code, label or synonym. Never raises; identifiers and text have no positions: None.
        """
        if not self.values:
            return None
        found = self._exact.get(text)
        if found is not None:
            return found
        word = normal(text)
        found = self._normal.get(word)
        if found is not None or not word:
            return self.blank if found is None else found
        if self.kind == "number":
            return self._band_of(word)
        if self.kind == "date" and self.periods is not None:
            parts = partial_date(word)
            period = None if parts is None else self.periods.position(*parts)
            return None if period is None else self.first_known + period
        return None

    def codes_of(self, text: str) -> tuple[int, ...] | None:
        """Read one raw cell of a multi attribute: the positions of its values, ascending, or None if no part of the cell is in the list.

        A missing value counts only where the cell holds nothing else. A part outside the list becomes the outside value beside the parts that
        are in it (and so drops out where that value is a missing one). A cell of another kind has one value.
        """
        whole = self.code_of(text)
        if whole is not None:
            return (whole,)
        found = [self.code_of(part) for part in self.parts(text)]
        if found == [None] * len(found):
            return None if found or not self.separators else (self.blank,)
        positions = {self.outside_position if position is None else position for position in found}
        known = {position for position in positions if position >= self.first_known}
        return tuple(sorted(known)) if known else (max(positions),)

    def parts(self, text: str) -> tuple[str, ...]:
        """Split one raw cell at the separators; blank parts are dropped.

        >>> from caseschemas import Labels, SchemaAttribute, Value
        >>> values = tuple(Value(code=c, labels=Labels({"en": c}), missing=m) for c, m in (("", "unknown"), ("A", None), ("B", None)))
        >>> means = SchemaAttribute(name="means", kind="multi", role="analysis", labels=Labels({"en": "Means"}), values=values,
        ...                         merge="union", outside="", separators=("|||", ";"))
        >>> means.parts("A ||| B;;C"), means.codes_of("A ||| B;;C"), means.codes_of("C"), means.codes_of("")
        (('A ', ' B', 'C'), (1, 2), None, (0,))
        """
        parts = [text]
        for separator in sorted(self.separators, key=len, reverse=True):
            parts = [piece for part in parts for piece in part.split(separator)]
        return tuple(part for part in parts if part.strip())

    @cached_property
    def _positions(self) -> dict[str, int]:
        return {value.code: position for position, value in enumerate(self.values)}

    @cached_property
    def _normal(self) -> dict[str, int]:
        """Every word in normal form; the schema's own words win over the words of yes and no."""
        index: dict[str, int] = {}
        if self.kind == "flag":
            no = next((position for position, value in enumerate(self.values) if value.missing == "no"), self.blank)
            index |= dict.fromkeys(NO_WORDS, no)
            index |= dict.fromkeys(YES_WORDS, self.first_known)
        for position, value in reversed(list(enumerate(self.values))):
            index |= dict.fromkeys((normal(word) for word in value.words), position)
        return index

    @cached_property
    def _exact(self) -> dict[str, int]:
        """Every word as written, so that the usual cell costs one look-up and no Unicode work."""
        return {word: self._normal[normal(word)] for value in self.values for word in value.words}

    def _band_of(self, word: str) -> int | None:
        number = whole_number(word)
        if number is None:
            ends = number_range(word)
            if ends is None:
                return None
            low, high = ends
            band = self._band_holding(low)
            if band is None:
                return None
            top = self.bands[band].high
            inside = top is None or high is not None and high <= top
            return self.first_known + band if inside else None
        band = self._band_holding(number)
        return None if band is None else self.first_known + band

    def _band_holding(self, number: int) -> int | None:
        return next((position for position, band in enumerate(self.bands) if band.holds(number)), None)
