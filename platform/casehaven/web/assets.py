"""Style and script of the pages: files of this package, below a digest of them all, so that a browser keeps them until one changes, and a module finds another beside it.

The colours are the design tokens of the showcase; its package is not loaded for them, because it brings the privacy engine along.
"""

from __future__ import annotations

import hashlib
import json
from functools import cache
from importlib.resources import files
from typing import Final

from fastapi import Response

from casehaven.organisations.errors import NotFoundError
from casehaven.web.router import PageRouter

router = PageRouter()

_TYPES: Final = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8"}
_KEPT: Final = {"Cache-Control": "public, max-age=31536000, immutable"}
STYLE: Final = "casehaven.css"


@router.get("/assets/web/{digest}/{name}", uncounted=True)
def asset(digest: str, name: str) -> Response:
    """A file of the pages."""
    found = assets().get(name)
    if found is None or digest != _digest():
        raise NotFoundError
    return Response(found, media_type=_TYPES[name.rpartition(".")[2]], headers=_KEPT)


def asset_url(name: str) -> str:
    """Return where a file of the pages is.

    Raises:
        KeyError: there is no such file.
    """
    assets()[name]
    return f"/assets/web/{_digest()}/{name}"


@cache
def colours() -> str:
    """Return the design tokens as CSS: light, dark by the reader's system, and paper."""
    found = json.loads(files("casesynth").joinpath("showcase/assets/tokens.json").read_text(encoding="utf-8"))
    light, dark, paper = (
        ";".join(f"--{name}:{colour}" for name, colour in found[theme].items()) for theme in ("light", "dark", "paper")
    )
    return (
        f":root{{color-scheme:light;{light}}}\n"
        f"@media screen and (prefers-color-scheme:dark){{:root{{color-scheme:dark;{dark}}}}}\n"
        f"@media print{{:root{{{paper}}}}}\n"
    )


@cache
def assets() -> dict[str, bytes]:
    """Return the bytes of every file by its name."""
    made = {}
    for file in files("casehaven.web").joinpath("assets").iterdir():
        if file.name.rpartition(".")[2] in _TYPES:
            text = file.read_text(encoding="utf-8")
            made[file.name] = ((colours() if file.name == STYLE else "") + text).encode()
    return made


@cache
def _digest() -> str:
    made = hashlib.sha256()
    for name, data in sorted(assets().items()):
        made.update(name.encode() + b"\0" + hashlib.sha256(data).digest())
    return made.hexdigest()[:16]
