"""What a cap buys over the years: how many releases of which epsilon, by adding up zCDP.

1. Every release of the same people adds its rho to what they have lost; the epsilons do not add up, their rhos do (privacy rule 12).
2. The cap of an account is for good. A release that names no years charges the blocks of all years, those to come as well, so a later year begins with what was spent
   before. One that names years charges their people alone.
"""

from __future__ import annotations

from dataclasses import dataclass

from casesynth.errors import CasesynthError
from casesynth.privacy.accounting import epsilon_for, rho_for

EPSILONS = (0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
"""Of single releases, for which the number that a cap pays for is stated."""


class YearsError(CasesynthError):
    """A plan over years that contradicts itself."""


@dataclass(frozen=True, kw_only=True)
class YearsOutlook:
    """What one cap pays for."""

    cap_epsilon: float
    """The most that one person token may lose in all."""
    delta: float
    cap_nano_rho: int
    years: int
    releases_per_year: int
    epsilon: float
    """Of one release, as asked for."""
    paid_for: int
    """How many releases of that epsilon the cap pays for."""
    even_epsilon: float | None
    """Epsilon of each release where all planned ones share the cap evenly; None where the share is below one unit."""
    table: tuple[tuple[float, int], ...]
    """Epsilon of one release, and how many of them the cap pays for."""

    @property
    def planned(self) -> int:
        """Number of releases that are planned."""
        return self.years * self.releases_per_year

    @property
    def suffices(self) -> bool:
        """Whether the cap pays for all of them."""
        return self.paid_for >= self.planned


def years_outlook(
    *, nano_rho: int, epsilon: float, delta: float, cap_epsilon: float, years: int, releases_per_year: int
) -> YearsOutlook:
    """Return what a cap pays for.

    Args:
        nano_rho: of one release, as its plan states it.
        epsilon: of one release.
        delta: at which all epsilons hold.
        cap_epsilon: of the account, for good.
        years: how long it is to last.
        releases_per_year: how many releases of the same people in a year.

    Raises:
        YearsError: years or releases are not at least 1.
        PrivacyLossError: the cap is out of range.

    >>> found = years_outlook(nano_rho=18_000_000, epsilon=0.9, delta=1e-6, cap_epsilon=4, years=5, releases_per_year=2)
    >>> found.planned, found.paid_for, found.suffices
    (10, 17, True)
    """
    if years < 1 or releases_per_year < 1:
        raise YearsError(f"expected at least 1 year and 1 release in a year, got {years} and {releases_per_year}")
    cap = rho_for(cap_epsilon, delta)
    share = cap // (years * releases_per_year)
    return YearsOutlook(
        cap_epsilon=float(cap_epsilon),
        delta=delta,
        cap_nano_rho=cap,
        years=years,
        releases_per_year=releases_per_year,
        epsilon=epsilon,
        paid_for=cap // nano_rho,
        even_epsilon=epsilon_for(share, delta) if share else None,
        table=tuple((each, cap // rho_for(each, delta)) for each in EPSILONS if each <= cap_epsilon),
    )
