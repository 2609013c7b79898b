"""The design tokens: every colour of the pages, for light, dark and paper, as CSS custom properties.

A page follows the reader's system unless `data-theme` on the root element says `light` or `dark`. Paper is always light.
"""

from __future__ import annotations

from collections.abc import Mapping

from casesynth.showcase._assets import asset_json


def tokens() -> Mapping[str, Mapping[str, str]]:
    """Return the colours by theme and name."""
    found: Mapping[str, Mapping[str, str]] = asset_json("tokens.json")
    return found


def tokens_css() -> str:
    """Return the tokens as CSS.

    >>> tokens_css().splitlines()[0][:26]
    ':root{color-scheme:light;-'
    """
    light, dark, paper = (_block(tokens()[theme]) for theme in ("light", "dark", "paper"))
    return (
        f":root{{color-scheme:light;{light}}}\n"
        f"@media screen and (prefers-color-scheme:dark){{:root:not([data-theme=light]){{color-scheme:dark;{dark}}}}}\n"
        f"@media screen{{:root[data-theme=dark]{{color-scheme:dark;{dark}}}}}\n"
        f"@media print{{:root{{color-scheme:light;{paper}}}}}\n"
    )


def _block(colours: Mapping[str, str]) -> str:
    return ";".join(f"--{name}:{colour}" for name, colour in colours.items())
