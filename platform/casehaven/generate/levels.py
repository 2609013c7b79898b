"""Levels of the ``ctdc-global`` world: the part of every logit that was solved, so that published shares come out.

They are kept in ``ctdc_levels.json`` next to this module, rounded to a thousandth; ``python -m casehaven.generate.calibration``
solves them again after a change to the effects.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

__all__ = ["Levels", "parse_levels", "solved_levels"]

_SHAPES = {"type": (2, 4), "man": (2, 4), "age": (2, 9), "gap": (2, 10), "means": (2, 4, 8), "recruiter": (2, 4, 4)}


@dataclass(frozen=True, kw_only=True)
class Levels:
    """One level per kind of source and, where it applies, kind of exploitation and value; on the logit scale."""

    type: NDArray[np.float64]
    """Kind of source x (sexual, labour, both, other)."""
    man: NDArray[np.float64]
    """Kind of source x kind of exploitation: being a man."""
    age: NDArray[np.float64]
    """Kind of source x age band."""
    gap: NDArray[np.float64]
    """Kind of source x entry of ``GAPS``: leaving empty."""
    means: NDArray[np.float64]
    """Kind of source x kind of exploitation x mean of control."""
    recruiter: NDArray[np.float64]
    """Kind of source x kind of exploitation x recruiter relation."""

    def __post_init__(self) -> None:
        for name, shape in _SHAPES.items():
            if getattr(self, name).shape != shape:
                raise ValueError(f"levels of {name} have shape {getattr(self, name).shape}, expected {shape}")

    def to_json(self) -> str:
        """Return the levels as text, rounded to a thousandth."""
        rounded = {name: np.round(value, 3).tolist() for name, value in asdict(self).items()}
        return "{\n" + ",\n".join(f'  "{name}": {json.dumps(value)}' for name, value in rounded.items()) + "\n}\n"


def parse_levels(text: str) -> Levels:
    """Return the levels written by ``Levels.to_json``."""
    read = json.loads(text)
    return Levels(**{name: np.array(read[name], np.float64) for name in _SHAPES})


def solved_levels() -> Levels:
    """Return the levels that this version ships."""
    return parse_levels((files("casehaven.generate") / "ctdc_levels.json").read_text("utf-8"))
