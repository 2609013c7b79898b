"""What can go wrong with the worker as a process."""

from __future__ import annotations

from casehaven.errors import CasehavenError


class WorkerRunsError(CasehavenError):
    """Another worker serves this folder."""
