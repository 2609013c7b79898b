"""People: is somebody there, and what did they say about the use of their records.

Showing, correcting, exporting and erasing need a second factor, which a token never has: they are done on the service's own pages, or beside the vault.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from casehaven.client.datasets import dataset_path
from casehaven.client.errors import NotThereError
from casehaven.client.fields import Fields
from casehaven.client.jobs import Jobs


class People:
    """The people of a dataset, found by the case reference or person token of your own files."""

    def __init__(self, jobs: Jobs) -> None:
        """Use a connection."""
        self._jobs = jobs

    def find(self, dataset: str, reference: str, *, reason: str) -> bool:
        """Tell whether somebody is there. The look is in the audit log.

        Args:
            dataset: organisation/dataset.
            reference: the case reference or person token of your own files.
            reason: why; it is sealed in the audit log. Write no names.
        """
        body = {"reference": reference, "reason": reason}
        return Fields(self._ask(dataset, "find", body), "result").flag("found")

    def consent(
        self,
        dataset: str,
        reference: str,
        *,
        purpose: str,
        given: bool,
        reason: str,
        language: str = "",
        dated: date | None = None,
    ) -> int:
        """Record what a person said about one purpose; what they said before stays. Return the version of this consent.

        Args:
            dataset: organisation/dataset.
            reference: the case reference or person token of your own files.
            purpose: such as `pooled_statistics`.
            given: whether they said yes.
            reason: why it is recorded now.
            language: that it was explained in; needed for a yes.
            dated: the day when they said it; None: today.

        Raises:
            NotThereError: nobody is there under this reference.
            BadRequestError: there is no such purpose, or the language is missing.
        """
        body: dict[str, Any] = {
            "reference": reference,
            "reason": reason,
            "purpose": purpose,
            "given": given,
            "language": language,
        }
        if dated is not None:
            body["dated"] = dated.isoformat()
        fields = Fields(self._ask(dataset, "consent", body), "result")
        if not fields.flag("found"):
            raise NotThereError(status=404, code="unknown-person", title="nobody is there under this reference")
        return fields.whole("version")

    def _ask(self, dataset: str, what: str, body: Mapping[str, Any]) -> Any:
        return self._jobs.ask("POST", f"{dataset_path(dataset)}/people/{what}", body=dict(body)).result
