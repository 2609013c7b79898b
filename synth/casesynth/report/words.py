"""Numbers in words: rounded as far as their uncertainty allows, always with the interval."""

from __future__ import annotations

import math
from dataclasses import dataclass

from casesynth.aggregates import LOWEST_END, MINIMUM
from casesynth.intervals import NORMAL
from casesynth.model import LatentClassModel

SPACE = "\u00a0"
"""A space at which no line breaks."""

NAME_MOST = 80
"""Longest name or code that is shown, in characters; longer ones are cut."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A number of people with its 95 % interval."""

    value: float
    low: float
    """Never below zero."""
    high: float

    @property
    def half_width(self) -> float:
        """Half of the interval; the lower end may have been cut at zero."""
        return self.high - self.value

    @property
    def shown(self) -> bool:
        """Whether privacy rule 25 lets the number be shown."""
        return self.value >= MINIMUM and self.low >= LOWEST_END

    @property
    def step(self) -> int:
        """What the number is rounded to: a power of ten, well inside the interval."""
        half = max((self.high - self.low) / 2, 0.0)
        return int(10 ** max(math.floor(math.log10(half / 2)), 0)) if half > 0 else 1

    def __str__(self) -> str:
        """The number alone, rounded.

        >>> str(Estimate(value=19_904.2, low=19_849.1, high=19_959.3))
        '19,900'
        """
        return whole(round(self.value / self.step) * self.step)

    @property
    def interval(self) -> str:
        """The interval, rounded outwards.

        >>> Estimate(value=19_904.2, low=19_849.1, high=19_959.3).interval
        '19,840 to 19,960'
        """
        low, high = math.floor(self.low / self.step) * self.step, math.ceil(self.high / self.step) * self.step
        return f"{whole(max(low, 0))} to {whole(high)}"


def people_of(model: LatentClassModel) -> Estimate:
    """Return the noisy number of people with its interval; never below zero."""
    half = NORMAL * model.people_sigma
    people = max(model.people, 0.0)
    return Estimate(value=people, low=max(model.people - half, 0.0), high=max(model.people + half, 0.0))


def whole(number: float) -> str:
    """Return a whole number with separators.

    >>> whole(19_988.94)
    '19,989'
    """
    return f"{round(number):,}"


def short(number: float, digits: int = 3) -> str:
    """Return a number with so many significant digits, without an exponent where that reads well.

    >>> short(0.088145931), short(7.389), short(1e-06), short(642.56)
    ('0.0881', '7.39', '0.000001', '643')
    """
    if number == 0 or not math.isfinite(number):
        return f"{number:g}"
    if abs(number) >= 10 ** (digits - 1):
        return f"{round(number):,}"
    places = digits - 1 - math.floor(math.log10(abs(number)))
    return f"{number:.{places}f}".rstrip("0").rstrip(".") if places <= 12 else f"{number:.{digits - 1}e}"


def tenths(number: float) -> str:
    """Return a number with one decimal below a hundred, and none above.

    >>> tenths(33.04), tenths(642.6)
    ('33.0', '643')
    """
    return f"{number:.1f}" if number < 99.95 else whole(number)


def signed(number: float) -> str:
    """Return a whole number with its sign; the minus is the typographic one.

    >>> signed(-1204.4), signed(0.2), signed(35.0)
    ('−1,204', '0', '+35')
    """
    return "0" if not round(number) else ("\N{MINUS SIGN}" if number < 0 else "+") + whole(abs(number))


def ceiling(number: float, places: int = 2) -> str:
    """Return a number rounded up: for a promise that must not read better than it is.

    >>> ceiling(4.2801), ceiling(2.0)
    ('4.29', '2')
    """
    factor = 10**places
    return f"{math.ceil(round(number * factor, 6)) / factor:.{places}f}".rstrip("0").rstrip(".")


def percent(share: float, places: int = 0) -> str:
    """Return a share in percent.

    >>> percent(0.954, 1).replace(SPACE, " ")
    '95.4 %'
    """
    return f"{100 * share:.{places}f}{SPACE}%"


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """Return a number with its noun.

    >>> counted(1, "attribute"), counted(27, "attribute")
    ('1 attribute', '27 attributes')
    """
    return f"{whole(number)} {noun if number == 1 else plural or noun + 's'}"


def cut(text: str, length: int) -> str:
    """Return text of at most this length, with an ellipsis where it was cut.

    >>> cut("intimate partner", 9)
    'intimate…'
    """
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"
