"""Uploads: a case file on its way into a dataset.

1. The file is sent as it is, from its beginning in each attempt, under one key: however often the connection breaks, it arrives once.
2. The server says how it would read the file, and takes it in under a mapping that somebody looked at. Guesses that nobody looked at are refused.
3. What is said of the file is for its sender: it holds exact numbers and words of the file.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

from casehaven.client.datasets import dataset_parts, dataset_path
from casehaven.client.errors import SentFileError
from casehaven.client.fields import Fields, pages
from casehaven.client.jobs import Jobs, Progress
from casehaven.client.questions import new_key
from casehaven.client.transport import Transport
from casesynth._files import open_regular

_PIECE: Final = 1 << 18

Sent = Callable[[int, int], None]
"""Is called with the bytes that are on their way, and all of them."""


@dataclass(frozen=True, kw_only=True)
class Upload:
    """A file that the server holds, sealed, for a day at most."""

    id: str
    dataset: str
    """organisation/dataset."""
    state: str
    """`received`, `committed` or `destroyed`."""
    expires_at: int
    """Seconds since 1970."""
    key: str | None = None
    """Idempotency key with which it was sent."""


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """How the server would read a file, and what would become of its rows."""

    prepared: bool
    """The file was prepared where it came from: it takes no mapping."""
    mapping: Mapping[str, Any] | None = field(repr=False)
    """`casehaven-intake-mapping/1`; correct it, and commit it. None for a prepared file."""
    guesses: tuple[str, ...]
    """Attributes that rest on guesses: look at each of them."""
    person_known: bool
    """Whether a column is known to tell people apart."""
    report: Mapping[str, Any] | None = field(repr=False)
    """What would become of rows and columns; None where nobody knows what tells people apart."""
    document: Mapping[str, Any] = field(repr=False)
    """All that the server said."""


@dataclass(frozen=True, kw_only=True)
class Committed:
    """A file that is in the dataset."""

    repeated: bool
    """This very file was there already."""
    changed: bool
    """Whether the dataset has another version now."""
    new: int
    """Records."""
    corrected: int
    there_already: int


class Uploads:
    """Files on their way into datasets."""

    def __init__(self, transport: Transport, jobs: Jobs) -> None:
        """Use a connection."""
        self._transport, self._jobs = transport, jobs

    def send(self, path: Path | str, dataset: str, *, key: str | None = None, sent: Sent | None = None) -> Upload:
        """Send a case file. Nothing is taken in yet.

        Args:
            path: of the file.
            dataset: organisation/dataset.
            key: of an attempt that did not finish: the same file under it arrives once.
            sent: is told of the bytes.

        Raises:
            SentFileError: the file is empty, or changed while it was sent.
            BadRequestError: it is too large.
            ConflictError: the key was used with another file.
            OSError: the file cannot be read.
        """
        used = new_key() if key is None else key
        with _FileContent(Path(path), sent) as content:
            answer = self._transport.json("POST", f"{dataset_path(dataset)}/uploads", content=content, key=used)
        return _upload(Fields(answer, "upload"), used)

    def get(self, dataset: str, upload_id: str) -> Upload:
        """Return an upload."""
        return _upload(Fields(self._transport.json("GET", _place(dataset, upload_id)), "upload"))

    def list(self, dataset: str) -> Iterator[Upload]:
        """Yield the uploads of a dataset, newest first."""
        return pages(self._transport, f"{dataset_path(dataset)}/uploads", _upload, "list of uploads")

    def propose(
        self,
        upload: Upload,
        *,
        mapping: Mapping[str, Any] | None = None,
        progress: Progress | None = None,
        **reading: Any,
    ) -> Proposal:
        """Ask how a file would be read. Nothing is taken in.

        Args:
            upload: from `send`.
            mapping: try this one.
            progress: is told of the job now and then.
            reading: `encoding`, `separator`, `sheet` or `password`, where they cannot be told from the file.
        """
        body = _without_none({**reading, "mapping": None if mapping is None else dict(mapping)})
        place = f"{_place(upload.dataset, upload.id)}/proposal"
        fields = Fields(self._jobs.ask("POST", place, body=body, progress=progress).result, "proposal")
        prepared = fields.text("kind") == "prepared"
        report = fields.all.get("report")
        return Proposal(
            prepared=prepared,
            mapping=None if prepared else fields.inner("mapping").all,
            guesses=() if prepared else fields.texts("guesses"),
            person_known=prepared or fields.flag("person_known"),
            report=report if isinstance(report, Mapping) else None,
            document=fields.all,
        )

    def commit(
        self,
        upload: Upload,
        *,
        mapping: Mapping[str, Any] | None = None,
        leave_refused: bool = False,
        keep: Sequence[str] = (),
        again: bool = False,
        same_people: bool = False,
        older_file: bool = False,
        key: str | None = None,
        progress: Progress | None = None,
        **reading: Any,
    ) -> Committed:
        """Take a file in, whole or not at all. The raw file is destroyed.

        Args:
            upload: from `send`.
            mapping: that somebody looked at; without one, only a mapping that is certain in every part is used.
            leave_refused: rows that cannot be taken in may stay behind.
            keep: identifiers and columns of free text that are kept, sealed.
            again: the mapping was corrected: take in a file that is there already.
            same_people: a record key that another person holds is one of the same person.
            older_file: take in a prepared file that is older than one that is there.
            key: of an attempt that did not finish.
            progress: is told of the job now and then.
            reading: see `propose`.

        Raises:
            RefusedError: nothing was taken in; `code` says why.
        """
        flags = {
            "leave_refused": leave_refused,
            "again": again,
            "same_people": same_people,
            "older_file": older_file,
        }
        body = _without_none({**reading, "mapping": None if mapping is None else dict(mapping)})
        body.update({name: True for name, said in flags.items() if said})
        if keep:
            body["keep"] = list(keep)
        place = f"{_place(upload.dataset, upload.id)}/commit"
        job = self._jobs.ask("POST", place, body=body, key=new_key() if key is None else key, progress=progress)
        fields = Fields(job.result, "result")
        records = fields.inner("records")
        return Committed(
            repeated=fields.flag("repeated"),
            changed=fields.flag("changed"),
            new=records.whole("new"),
            corrected=records.whole("corrected"),
            there_already=records.whole("there_already"),
        )

    def destroy(self, upload: Upload) -> None:
        """Destroy a raw upload. What was taken in stays."""
        self._transport.json("DELETE", _place(upload.dataset, upload.id))


class _FileContent:
    """A file as a body that can be sent again."""

    def __init__(self, path: Path, sent: Sent | None) -> None:
        self._name, self._sent = path.name, sent
        self._file = open_regular(path, follow=True)
        self.size = os.fstat(self._file.fileno()).st_size
        if self.size == 0:
            self._file.close()
            raise SentFileError(f"{path.name} is empty")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def pieces(self) -> Iterator[bytes]:
        self._file.seek(0)
        on_its_way = 0
        while piece := self._file.read(min(_PIECE, self.size - on_its_way + 1)):
            on_its_way += len(piece)
            if on_its_way > self.size:
                break
            if self._sent is not None:
                self._sent(on_its_way, self.size)
            yield piece
        if on_its_way != self.size:
            raise SentFileError(f"{self._name} changed while it was sent; nothing was taken in")


def _place(dataset: str, upload_id: str) -> str:
    return f"{dataset_path(dataset)}/uploads/{upload_id}"


def _upload(fields: Fields, key: str | None = None) -> Upload:
    dataset = f"{fields.text('organisation')}/{fields.text('dataset')}"
    dataset_parts(dataset)
    return Upload(
        id=fields.id("id"),
        dataset=dataset,
        state=fields.text("state"),
        expires_at=fields.whole("expires_at"),
        key=key,
    )


def _without_none(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
