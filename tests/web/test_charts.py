"""Pictures of numbers: each with its table, in both directions, whatever the numbers are."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from casehaven.web.charts import WIDTH, Bar, bar_chart, meter

HEADINGS = ("What", "People", "95 % interval")
BARS = [
    Bar(label="Woman", value=1234, low=1200, high=1270, chosen=True),
    Bar(label="<b>Man & co", value=40, low=-5, high=85),
    Bar(label="مجهول", value=0, low=0, high=12),
]


def _numbers(svg: ElementTree.Element, name: str, attribute: str) -> list[float]:
    return [float(one.attrib[attribute]) for one in svg.iter(name)]


@pytest.mark.parametrize("direction", ["ltr", "rtl"])
def test_a_chart_has_a_table_with_every_number_and_stays_within_its_frame(direction: str) -> None:
    figure = ElementTree.fromstring(bar_chart("By gender", BARS, headings=HEADINGS, direction=direction))
    cells = ["".join(cell.itertext()) for cell in figure.iter("td")]
    assert cells == ["1,234", "1,200 – 1,270", "40", "−5 – 85", "0", "0 – 12"]
    assert ["".join(one.itertext()) for one in figure.iter("th")][3:] == [bar.label for bar in BARS]
    svg = next(one for one in figure if one.tag == "svg")
    assert svg.attrib["aria-hidden"] == "true"
    for left, width in zip(_numbers(svg, "rect", "x"), _numbers(svg, "rect", "width"), strict=True):
        assert 0 <= left <= left + width <= WIDTH + 0.1


def test_a_chart_from_right_to_left_is_the_mirror_of_the_other() -> None:
    boxes = {}
    for direction in ("ltr", "rtl"):
        svg = ElementTree.fromstring(bar_chart("", BARS, headings=HEADINGS, direction=direction)).find("svg")
        assert svg is not None
        boxes[direction] = list(zip(_numbers(svg, "rect", "x"), _numbers(svg, "rect", "width"), strict=True))
    for (left, width), (mirrored, same) in zip(boxes["ltr"], boxes["rtl"], strict=True):
        assert same == width
        assert abs(mirrored - (WIDTH - left - width)) < 0.21


def test_bars_are_as_long_as_their_numbers() -> None:
    bars = [Bar(label="a", value=100.0), Bar(label="b", value=25.0)]
    svg = ElementTree.fromstring(bar_chart("", bars, headings=HEADINGS)).find("svg")
    assert svg is not None
    assert _numbers(svg, "rect", "width") == [WIDTH, WIDTH / 4]
    assert "interval" not in bar_chart("", bars, headings=HEADINGS)
    scaled = ElementTree.fromstring(bar_chart("", bars, headings=HEADINGS, scale=200.0)).find("svg")
    assert scaled is not None
    assert _numbers(scaled, "rect", "width") == [WIDTH / 2, WIDTH / 8]


@pytest.mark.parametrize("bars", [[], [Bar(label="x", value=0.0)], [Bar(label="x", value=-3.0, low=-9.0, high=3.0)]])
def test_a_chart_of_nothing_is_no_fault(bars: list[Bar]) -> None:
    ElementTree.fromstring(bar_chart("t", bars, headings=HEADINGS))


@pytest.mark.parametrize(("value", "width"), [(0, 0), (5, WIDTH / 2), (10, WIDTH), (99, WIDTH), (-1, 0)])
def test_a_meter_shows_the_share(value: float, width: float) -> None:
    found = re.search(r'class="bar-chosen" x="[\d.]+" y="0" width="([\d.]+)"', meter("Budget", value, 10, said="so"))
    assert found is not None and float(found[1]) == width
    assert meter("Budget", 1, 0, said="none")
