"""Progress and cancellation: long work says where it is, and stops when the caller raises."""

from __future__ import annotations

from typing import Protocol

PHASES = ("count", "measure", "fit", "sample", "aggregate", "write")
"""The public phases of a release, in order."""


class Progress(Protocol):
    """Called with the phase and the share done in it (None: still going on). Raising from it cancels the work."""

    def __call__(self, phase: str, share: float | None, /) -> None: ...


def silent(phase: str, share: float | None, /) -> None:
    """Show nothing."""
