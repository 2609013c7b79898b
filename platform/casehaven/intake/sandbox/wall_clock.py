"""Times of typed files as text: what a clock on the wall showed, with the offset of its zone.

1. A time with a zone is written as people of that zone wrote it, with its offset. It is never shifted: 1 January at midnight in Nairobi is no day of December.
2. Zones are loaded before the doors close (`prepare`). One that is not known then is refused by name; nothing is guessed.
3. Nothing is cut: nanoseconds stand where there are some, and only there.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Final

__all__ = ["duration_text", "prepare", "time_text", "zone_of"]

PER_SECOND: Final = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
"""Units of typed files."""

_NANOSECONDS: Final = 1_000_000_000
_EPOCH: Final = datetime(1970, 1, 1)
_OFFSET: Final = re.compile(r"([+-])(\d{2}):?([0-5]\d)")
_HOURS_MOST: Final = 23

_zones: dict[str, tzinfo] = {"UTC": UTC}


def prepare() -> None:
    """Load all zones that this computer knows, while files can be opened."""
    import zoneinfo

    _zones.update({name: zoneinfo.ZoneInfo(name) for name in zoneinfo.available_timezones()} | {"UTC": UTC})


def zone_of(name: str) -> tzinfo | None:
    """Return a zone by its name or offset; None where nobody here knows it.

    >>> zone_of("-03:30"), zone_of("Mars/Gale")
    (datetime.timezone(datetime.timedelta(days=-1, seconds=73800)), None)
    """
    told = _OFFSET.fullmatch(name)
    if told and int(told[2]) <= _HOURS_MOST:
        minutes = 60 * int(told[2]) + int(told[3])
        return timezone(timedelta(minutes=-minutes if told[1] == "-" else minutes))
    return _zones.get(name)


def time_text(count: int, unit: str, zone: tzinfo | None) -> str:
    """Return a time as text (rules 1 and 3).

    Args:
        count: since 1970, in UTC where there is a zone.
        unit: one of `PER_SECOND`.
        zone: whose clock it is; None: the time has none.

    Raises:
        OverflowError: it lies outside the years 1 to 9999.

    >>> time_text(1672520400, "s", zone_of("+03:00")), time_text(1, "ns", None)
    ('2023-01-01T00:00:00+03:00', '1970-01-01T00:00:00.000000001')
    """
    seconds, nanoseconds = _parts(count, unit)
    at = _EPOCH + timedelta(seconds=seconds, microseconds=nanoseconds // 1_000)
    if zone is None:
        return _clock(at, nanoseconds % 1_000)
    local = at.replace(tzinfo=UTC).astimezone(zone)
    wall = local.replace(tzinfo=None)
    return _clock(wall, nanoseconds % 1_000) + local.isoformat()[len(wall.isoformat()) :]


def duration_text(count: int, unit: str) -> str:
    """Return a span of time as text: as days and a clock, or in ISO 8601 where it is counted in nanoseconds, as pandas does.

    >>> duration_text(90_061, "s"), duration_text(90_061_000_000_001, "ns")
    ('1 day, 1:01:01', 'P1DT1H1M1.000000001S')
    """
    seconds, nanoseconds = _parts(count, unit)
    if unit != "ns":
        return str(timedelta(seconds=seconds, microseconds=nanoseconds // 1_000))
    days, rest = divmod(seconds, 86_400)
    fraction = f".{nanoseconds:09d}".rstrip("0") if nanoseconds else ""
    return f"P{days}DT{rest // 3_600}H{rest // 60 % 60}M{rest % 60}{fraction}S"


def _parts(count: int, unit: str) -> tuple[int, int]:
    """Return whole seconds, and nanoseconds."""
    per_second = PER_SECOND[unit]
    seconds, rest = divmod(count, per_second)
    return seconds, rest * (_NANOSECONDS // per_second)


def _clock(at: datetime, nanoseconds: int) -> str:
    return f"{at.isoformat(timespec='microseconds')}{nanoseconds:03d}" if nanoseconds else at.isoformat()
