"""Draws the committed map: public-domain shapes of countries, projected once into SVG paths. Run by hand; a release only reads the result.

Sources: Natural Earth 1:110m (public domain) as the npm package `world-atlas` carries it, and `codeMappings.json` of the npm package
`cldr-core` for the step from numeric to three-letter country codes.

    python -m casesynth.showcase._draw_map countries-110m.json codeMappings.json > synth/casesynth/showcase/assets/map.json

1. The projection is Equal Earth (Savric, Patterson, Jenny 2018): areas are true, so that no country looks larger than it is.
2. A ring that crosses the antimeridian is cut there.
3. Antarctica is left out. A shape without an ISO 3166-1 code is drawn as land without a number.
"""

from __future__ import annotations

import itertools
import json
import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from caseschemas import load_schema

WIDTH = 1000
"""Width of the drawing in its own units; coordinates are whole numbers of tenths."""

Ring: TypeAlias = list[tuple[float, float]]
"""Longitude and latitude in degrees."""

_A = (1.340264, -0.081106, 0.000893, 0.003796)


def equal_earth(longitude: float, latitude: float) -> tuple[float, float]:
    """Return the place of a point on the unit sphere's Equal Earth map.

    >>> equal_earth(0, 0)
    (0.0, 0.0)
    >>> round(equal_earth(180, 0)[0], 4)
    2.7066
    """
    theta = math.asin(math.sqrt(3) / 2 * math.sin(math.radians(latitude)))
    a1, a2, a3, a4 = _A
    slope = 9 * a4 * theta**8 + 7 * a3 * theta**6 + 3 * a2 * theta**2 + a1
    x = 2 * math.sqrt(3) * math.radians(longitude) * math.cos(theta) / (3 * slope)
    return x, a4 * theta**9 + a3 * theta**7 + a2 * theta**3 + a1 * theta


def decoded_arcs(topology: Mapping[str, Any]) -> list[Ring]:
    """Return the arcs of a quantised TopoJSON in degrees."""
    (sx, sy), (tx, ty) = topology["transform"]["scale"], topology["transform"]["translate"]
    arcs = []
    for deltas in topology["arcs"]:
        x = y = 0
        arc = []
        for dx, dy in deltas:
            x, y = x + dx, y + dy
            arc.append((x * sx + tx, y * sy + ty))
        arcs.append(arc)
    return arcs


def rings_of(geometry: Mapping[str, Any], arcs: Sequence[Ring]) -> Iterable[Ring]:
    """Yield the rings of one country."""
    polygons = [geometry["arcs"]] if geometry["type"] == "Polygon" else geometry["arcs"]
    for polygon in polygons:
        for places in polygon:
            ring: Ring = []
            for place in places:
                arc = arcs[place] if place >= 0 else arcs[~place][::-1]
                ring += arc[1:] if ring else arc
            yield ring


def cut(ring: Ring) -> list[Ring]:
    """Return the parts of a ring on either side of the antimeridian.

    >>> cut([(170, 0), (-170, 0), (-170, 10), (170, 10), (170, 0)])
    [[(170, 0), (180, 0.0), (180, 10.0), (170, 10)], [(-180, 0.0), (-170, 0), (-170, 10), (-180, 10.0)]]
    """
    unrolled = [ring[0]]
    for x, y in ring[1:]:
        last = unrolled[-1][0]
        unrolled.append((x + 360 * round((last - x) / 360), y))
    parts = []
    for turn in (-360, 0, 360):
        part = _clip(_clip(unrolled[:-1], turn - 180, 1), turn + 180, -1)
        if part:
            parts.append([(x - turn, y) for x, y in part])
    return parts


def _clip(ring: Ring, edge: float, side: int) -> Ring:
    kept: Ring = []
    for (x0, y0), (x1, y1) in zip(ring, ring[1:] + ring[:1], strict=True):
        inside = [(x - edge) * side >= 0 for x in (x0, x1)]
        if inside[0]:
            kept.append((x0, y0))
        if inside[0] != inside[1]:
            kept.append((edge, y0 + (y1 - y0) * (edge - x0) / (x1 - x0)))
    return kept


def path_of(rings: Iterable[Ring], scale: float, top: float) -> str:
    """Return the rings as one SVG path in whole tenths, each point relative to the last."""
    path = []
    for ring in rings:
        points: list[tuple[int, int]] = []
        for longitude, latitude in ring:
            x, y = equal_earth(longitude, latitude)
            point = (round(10 * (x * scale + WIDTH / 2)), round(10 * (top - y * scale)))
            if not points or point != points[-1]:
                points.append(point)
        if len(points) < 3:
            continue
        steps = [f"{x1 - x0} {y1 - y0}" for (x0, y0), (x1, y1) in itertools.pairwise(points)]
        path.append(f"M{points[0][0]} {points[0][1]}l" + " ".join(steps) + "z")
    return "".join(path).replace(" -", "-")


def draw(topology: Mapping[str, Any], mappings: Mapping[str, Mapping[str, str]]) -> dict[str, object]:
    """Return the map: its size, one path per country code, and the paths of land without a code."""
    current = {value.code for value in load_schema("ctdc-global").attribute("citizenship").values}
    codes = {row["_numeric"]: row["_alpha3"] for row in mappings.values() if row.get("_alpha3") in current}
    arcs = decoded_arcs(topology)
    scale = WIDTH / (2 * equal_earth(180, 0)[0])
    top, bottom = equal_earth(0, 84)[1] * scale, equal_earth(0, -57)[1] * scale
    shapes: dict[str, str] = {}
    land = []
    for geometry in topology["objects"]["countries"]["geometries"]:
        code = codes.get(geometry.get("id", ""))
        if code == "ATA":
            continue
        path = path_of((part for ring in rings_of(geometry, arcs) for part in cut(ring)), scale, top)
        if code is None:
            land.append(path)
        else:
            shapes[code] = path
    return {
        "source": "Natural Earth 1:110m (public domain), as in npm world-atlas 2.0.2 (Copyright 2013-2019 Michael Bostock, ISC licence); country "
        "codes from npm cldr-core 48.2.0 (Copyright 1991-2025 Unicode, Inc., Unicode-3.0); Equal Earth projection; "
        "drawn by casesynth/showcase/_draw_map.py",
        "width": WIDTH * 10,
        "height": round(10 * (top - bottom)),
        "shapes": dict(sorted(shapes.items())),
        "land": land,
    }


def main(arguments: Sequence[str]) -> None:
    """Read the two source files and write the map to standard output."""
    topology, mappings = (json.loads(Path(path).read_text(encoding="utf-8")) for path in arguments)
    json.dump(draw(topology, mappings["supplemental"]["codeMappings"]), sys.stdout, indent=0, ensure_ascii=False)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main(sys.argv[1:])
