"""Tags of the Humanitarian Exchange Language (HXL 1.1) for the columns of a release.

1. A tag is a hashtag with attributes, such as `#date+year+yearofregistration`. Hashtags are of the standard's own list; the last attribute is the column's name, so that no two columns have one tag.
2. What a column is called decides, never what is in it: the tags are the same whatever the data.
3. Years are dates, countries and regions places with codes; every other attribute of a case is an `#indicator`. Numbers of people are `#affected`, with the ends of their interval.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

_NUMBERS: Final = {
    "estimate": "#affected+estimate",
    "low": "#affected+low",
    "high": "#affected+high",
    "length": "#meta+length",
    "missing": "#meta+missing",
}
_PLACE: Final = re.compile(r"(attribute|value)_([0-9])")


def record_tags(columns: Sequence[str]) -> list[str]:
    """Return a tag for each column of the records.

    >>> record_tags(["yearOfRegistration", "gender", "CountryOfExploitation"])
    ['#date+year+yearofregistration', '#indicator+code+gender', '#country+code+countryofexploitation']
    """
    return [_tag(column) for column in columns]


def aggregate_tags(columns: Sequence[str]) -> list[str]:
    """Return a tag for each column of the aggregates.

    >>> aggregate_tags(["attribute_1", "value_1", "estimate"])
    ['#indicator+name+v1', '#indicator+code+v1', '#affected+estimate']
    """
    made = []
    for column in columns:
        place = _PLACE.fullmatch(column)
        if place is not None:
            made.append(f"#indicator+{'name' if place[1] == 'attribute' else 'code'}+v{place[2]}")
        else:
            made.append(_NUMBERS.get(column) or _tag(column))
    return made


def _tag(column: str) -> str:
    name = re.sub(r"[^a-z0-9_]", "_", column.lower())
    name = name if name[:1].isalpha() else f"c_{name}"
    if "year" in name:
        return f"#date+year+{name}"
    if "region" in name:
        return f"#region+code+{name}"
    if "country" in name or "citizen" in name:
        return f"#country+code+{name}"
    return f"#indicator+code+{name}"
