"""Progress on the terminal: the public phases of a release, never a count of people."""

from __future__ import annotations

import sys
import time

import click

SENTENCES = {
    "check": "checking the files",
    "count": "counting people",
    "measure": "adding noise",
    "fit": "fitting the model",
    "aggregate": "judging errors, reading aggregates",
    "sample": "drawing synthetic records",
    "write": "writing the bundle",
    "read": "reading the files",
    "understand": "comparing with the schema",
    "seal": "sealing records",
    "queued": "waiting for the service",
    "running": "the service is at work",
    "send": "sending the file",
    "fetch": "fetching the bundle",
}
"""What each phase does, in words."""


class PhaseLine:
    """Shows the current phase on standard error: one moving line on a terminal, one line per phase elsewhere."""

    def __init__(self) -> None:
        self._phase: str | None = None
        self._started = time.monotonic()
        self._moving = sys.stderr.isatty()

    def __call__(self, phase: str, share: float | None, /) -> None:
        """Show the phase; `share` is the part of it that is done, None when that is not known."""
        new = phase != self._phase
        self._phase = phase
        sentence = SENTENCES.get(phase, phase)
        seconds = time.monotonic() - self._started
        if self._moving:
            done = "" if share is None else f" {share:4.0%}"
            click.echo(f"\r\x1b[K  {sentence}{done}  ({seconds:.0f} s)", err=True, nl=False)
        elif new:
            click.echo(f"  {sentence}", err=True)

    def close(self) -> None:
        """Clear the moving line."""
        if self._moving and self._phase is not None:
            click.echo("\r\x1b[K", err=True, nl=False)
