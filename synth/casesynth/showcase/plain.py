"""What a reader without JavaScript gets: the header, the caveats and the main numbers, as plain HTML in the first language.

The same rule hides the same numbers as in the script: privacy rule 25 on estimates of single values.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from casesynth.aggregates import LOWEST_END, MINIMUM
from casesynth.contrasts import Floats
from casesynth.intervals import half_widths
from casesynth.report.words import SPACE, whole
from casesynth.showcase.translations import Translation
from casesynth.synthesis import Synthesis

HEADER = '<header class="plain">'

ROWS_MOST = 30
"""Most values of one attribute; the largest are listed, in public order unless they are countries."""


def plain_page(data: Mapping[str, Any], synthesis: Synthesis, language: Translation) -> str:
    """Return the part of the page that needs no script."""
    words, release = language.words, data["release"]
    people = release["people"]
    caveats = [
        (words["caveatSampleHead"], words["caveatSample"]),
        (words["caveatHiddenHead"], words["caveatHidden"].format(minimum=whole(MINIMUM), lowest=whole(LOWEST_END))),
        (words["caveatMissingHead"], words["caveatMissing"]),
        (words["caveatIntervalHead"], words["caveatInterval"].format(longest=len(synthesis.errors.half_widths))),
        (words["caveatGroupHead"], words["caveatGroup"].format(epsilon=whole(release["group"]))),
    ]
    lead = words["leadPeople"].format(
        people=whole(people["estimate"]),
        range=words["range"].format(low=whole(people["low"]), high=whole(people["high"])),
        organisations=release["organisations"],
    )
    listed = "".join(f"<li><b>{_text(head)}</b> {_text(text)}</li>" for head, text in caveats)
    tables = "".join(_table(place, data, synthesis, language) for place in range(len(data["attributes"])))
    notice = private_notice(language) if release["privateDecision"] else ""
    return (
        f'{HEADER}{notice}<h1>{_text(release["title"])}</h1><p class="big">{_text(lead)}</p>'
        f"<p>{_text(promise(release, words))}</p><p>{_text(words['leadSample'])}</p>"
        f'<p class="notice">{_text(words["plainScript"])}</p></header>'
        f'<main class="plain"><section><h2>{_text(words["aboutHeading"])}</h2><ul class="caveats">{listed}</ul></section>'
        f"<section><h2>{_text(words['plainTable'])}</h2>{tables}</section></main>"
    )


def private_notice(language: Translation) -> str:
    """Return what is said first where the decision about the release used private data (privacy rule 33)."""
    return f'<p class="notice"><b>{_text(language.words["privateDecision"])}</b></p>'


def promise(release: Mapping[str, Any], words: Mapping[str, str]) -> str:
    """Return the guarantee in one or two sentences."""
    text = words["promiseRecord" if release["unit"] == "record" else "promise"].format(
        odds=release["odds"], oneIn=whole(release["oneIn"]), epsilon=f"{release['epsilon']:g}"
    )
    if release["tokens"] == 1:
        return text
    return f"{text} " + words["promiseTokens"].format(
        tokens=release["tokens"], odds=release["oddsPerson"], epsilon=release["epsilonPerson"]
    )


def _table(place: int, data: Mapping[str, Any], synthesis: Synthesis, language: Translation) -> str:
    attribute, words = data["attributes"][place], language.words
    values = data["lists"][attribute["list"]]["labels"][language.code]
    name = attribute["labels"][language.code]
    rows: list[tuple[str, float]] = []
    places: list[tuple[int, int]] = []
    halves: dict[int, Floats] = {}
    weights = synthesis.model.weights * synthesis.model.people
    for position, column in enumerate(data["columns"]):
        if column["attribute"] != place:
            continue
        estimates = synthesis.model.shares[position] @ weights
        halves[position] = half_widths(synthesis.model, synthesis.errors, (position,))
        for value in range(column["size"]):
            if column["value"] is None:
                rows.append((values[value] or words["missing"], float(estimates[value])))
                places.append((position, value))
            elif value not in column["missing"]:
                rows.append((values[column["value"]], float(estimates[value])))
                places.append((position, value))
    sizes = np.array([max(size, 0.0) for _, size in rows])
    half = np.array([float(halves[position][value]) for position, value in places])
    low = np.maximum(sizes - half, 0.0)
    shown = (sizes >= MINIMUM) & (low >= LOWEST_END)  # privacy rule 25
    order = _listed(sizes, shown, by_size=attribute["kind"] == "country")
    body = "".join(
        f'<tr><th scope="row">{_text(rows[i][0])}</th><td class="n">{whole(sizes[i])}</td>'
        f'<td class="n">{_text(words["range"].format(low=whole(low[i]), high=whole(sizes[i] + half[i])))}</td></tr>'
        for i in order
    )
    hidden = int((~shown).sum())
    more = int(shown.sum()) - len(order)
    notes = [f"{whole(more)} more are shown with JavaScript and in aggregates.csv."] if more else []
    notes += [words["hiddenValues"].format(count=whole(hidden))] if hidden else []
    return (
        f'<table><caption>{_text(name)}</caption><thead><tr><th scope="col">{_text(words["value"])}</th>'
        f'<th scope="col" class="n">{_text(words["people"])}</th>'
        f'<th scope="col" class="n">{_text(words["interval"].replace(" %", SPACE + "%"))}</th></tr></thead>'
        f"<tbody>{body}</tbody></table>" + (f'<p class="quiet">{_text(" ".join(notes))}</p>' if notes else "")
    )


def _listed(sizes: np.ndarray[Any, Any], shown: np.ndarray[Any, Any], *, by_size: bool) -> Sequence[int]:
    largest = sorted(np.flatnonzero(shown).tolist(), key=lambda i: -sizes[i])[:ROWS_MOST]
    return largest if by_size else sorted(largest)


def _text(text: str) -> str:
    return html.escape(text, quote=True)
