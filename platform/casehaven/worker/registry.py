"""The registry as the worker keeps it: a record and an entry of the public log when a release is published, and a notice when it is withdrawn.

1. A release comes into the registry when a privacy officer decided to publish it (privacy rule 33), from its verified bundle and the draft that was approved. One that was drawn without an approved draft has no record.
2. The record, the entry of the log and the state of the release are written in one transaction. Then the entry's digest goes into the vault's audit log, where whoever holds the store cannot reach it.
3. Before an entry is added the whole log is verified, and compared with the audit log: the end may lack the audit's last word after a worker was killed, and nothing else. A log that was cut or changed is added to no more.
4. A withdrawal is for good, with a reason that everybody reads. The signed bundle stays where it is; the other forms are offered no more. The ledger knows it as withheld, and marks the bundle where a private report was opened before (privacy rule 33).
"""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, select

from casehaven.core.audit import read_entries
from casehaven.core.audit_models import audit
from casehaven.core.release_rows import set_state
from casehaven.drafts.document import DraftDocument
from casehaven.drafts.service import document_of_release
from casehaven.ledger import DecisionKind, IdempotencyKey
from casehaven.organisations import events
from casehaven.organisations.errors import NotFoundError
from casehaven.registry import rows
from casehaven.registry.downloads import make_downloads
from casehaven.registry.errors import NotReadableError, RegistryLogError
from casehaven.registry.identifiers import RECORD, concept_name, record_name
from casehaven.registry.indicators import make_indicators
from casehaven.registry.log import Kind, new_entry, verify_log
from casehaven.registry.reading import Published, opened
from casehaven.registry.record import citation, guarantee_words, moment, record_document
from casehaven.releases.decision import decide_release
from casehaven.releases.private_decision import finish_marking
from casehaven.vault.store import Vault
from casehaven.worker.drafts import require_approved
from casehaven.worker.work import Done, Work
from casesynth.manifest import MANIFEST_NAME, SIGNATURE_NAME, Manifest, verify_bundle
from casesynth.signing import SigningKey, TrustStore

LOGGED: Final = "registry.append"
"""The action of an entry of the public log in the vault's audit log; its object is the position and the digest."""


_OBJECT: Final = re.compile(r"([0-9]{1,9}):([0-9a-f]{64})")


def downloads_folder(releases: Path, release_id: str) -> Path:
    """Return where the other forms of a release are, beside its bundle."""
    return releases / f"{release_id}.downloads"


def publishable(work: Work, release_id: str) -> DraftDocument | None:
    """Return the approved draft that the bundle in the place of a release was drawn from; None where it is older than drafts.

    The draft is found by the release's own name, whatever its row says, and the bundle has to be under the draft's own charge.

    Raises:
        ApprovalsMissingError, NotFoundError: the draft was not approved, or the bundle was not drawn from it.
    """
    bench = work.bench
    with bench.store.reading() as connection:
        found = document_of_release(connection, release_id, bench.clock())
    if found is None:
        return None
    require_approved(bench.vault, found.document)
    manifest, _, _ = _verified(work, release_id, SigningKey.load(bench.signing_key))
    charge = bench.ledger.find(IdempotencyKey(text=f"draft-{found.document.digest}"))
    if charge is None or charge.receipt.charge_id != manifest.facts.get("charge"):
        raise NotFoundError
    return found.document


def publish(work: Work, release_id: str) -> str | None:
    """Put a release that was decided to be published into the registry, and return the name of its record; done twice, it is done.

    Args:
        work: the job of the decision.
        release_id: which.

    Raises:
        ApprovalsMissingError, NotFoundError: the draft was not approved, or the bundle was not drawn from it.
        RegistryLogError: the log is not whole; nothing was written.
    """
    bench = work.bench
    draft = publishable(work, release_id)
    with bench.store.reading() as connection:
        known = rows.record_of_release(connection, release_id)
    if known is not None or draft is None:
        with bench.store.writing() as connection:
            set_state(connection, release_id, DecisionKind.PUBLISHED.value)
        return None if known is None else known.name
    key = SigningKey.load(bench.signing_key)
    manifest, manifest_sha256, bundle = _verified(work, release_id, key)
    succeeds = draft.fields["succeeds"]
    named = None if succeeds is None else RECORD.fullmatch(str(succeeds))
    concept = concept_name(str(manifest.facts["measurements_sha256"])) if named is None else named[1]
    with bench.store.reading() as connection:
        version = rows.next_version(connection, concept)
    document = record_document(
        name=record_name(concept, version),
        concept=concept,
        version=version,
        draft=draft,
        manifest=manifest,
        manifest_sha256=manifest_sha256,
        signed_files=[_file(bundle / name) for name in (MANIFEST_NAME, SIGNATURE_NAME)],
        fingerprint=key.public_key.fingerprint,
        downloads=(),
        published_at=bench.clock(),
    )
    folder = downloads_folder(bench.store.releases, release_id)
    tables: list[dict[str, Any]] = []
    made = make_downloads(
        bundle,
        folder,
        _about(document),
        lambda: work.tick("downloads"),
        also=lambda inside: tables.extend(_indicators(bundle, document, inside)),
    )
    document = {**document, "downloads": [each.document() for each in made], "indicators": tables}
    for path in folder.iterdir():
        os.chmod(path, 0o644)  # the folder above is for the service alone; in split mode the api is another user
    _log_was_kept(work)
    with bench.store.writing() as connection:
        if rows.next_version(connection, concept) != version:
            raise RegistryLogError("another version was published meanwhile; decide again")
        rows.add_record(
            connection,
            name=document["id"],
            concept=concept,
            version=version,
            release_id=release_id,
            organisation=work.job.organisation,
            document=document,
            now=bench.clock(),
        )
        _append(connection, work, key, document, "published", None)
        set_state(connection, release_id, DecisionKind.PUBLISHED.value)
    _log_was_kept(work)
    return str(document["id"])


def withdraw(work: Work) -> Done:
    """Withdraw a published release, for good, with a notice. Done twice, it is done.

    Raises:
        NotFoundError: there is no such record of the asker's organisation.
        RegistryLogError: the log is not whole; nothing was written.
    """
    bench, name, reason = work.bench, str(work.request["record"]), str(work.request["reason"])
    with bench.store.reading() as connection:
        record = rows.record_of(connection, name, organisation=work.job.organisation)
    if record.withdrawn:
        return Done(result={"record": name, "state": "withdrawn"})
    _log_was_kept(work)
    key = SigningKey.load(bench.signing_key)
    decide_release(bench.store.releases / record.release_id, bench.ledger, key, DecisionKind.WITHHELD)
    manifest, manifest_sha256, bundle = _verified(work, record.release_id, key)
    files = [{"name": each.name, "size": each.size, "sha256": each.sha256} for each in manifest.files]
    with bench.store.writing() as connection:
        record = rows.record_of(connection, name, organisation=work.job.organisation)
        if not record.withdrawn:
            document = {
                **record.document,
                "state": "withdrawn",
                "guarantee": manifest.facts.get("guarantee"),
                "manifest_sha256": manifest_sha256,
                "files": [*files, *(_file(bundle / each) for each in (MANIFEST_NAME, SIGNATURE_NAME))],
                "withdrawal": {"at": moment(bench.clock()), "reason": reason},
            }
            rows.mark_withdrawn(connection, name, document, reason=reason, now=bench.clock())
            _append(connection, work, key, document, "withdrawn", reason)
            set_state(connection, record.release_id, "withdrawn")
            events.record(
                connection,
                bench.clock(),
                actor=work.actor,
                action="registry.withdrawn",
                organisation=work.job.organisation,
                object_kind="registry-record",
                object_id=name,
            )
    _log_was_kept(work)
    return Done(result={"record": name, "state": "withdrawn"})


def _append(
    connection: Connection, work: Work, key: SigningKey, document: dict[str, Any], kind: Kind, reason: str | None
) -> None:
    entries = verify_log(rows.log_entries(connection))
    entry = new_entry(
        entries[-1] if entries else None,
        key,
        at=max([moment(work.bench.clock()), *(str(each.entry["at"]) for each in entries[-1:])]),
        kind=kind,
        record=document["id"],
        title=str(document["title"]),
        manifest_sha256=document["manifest_sha256"],
        reason=reason,
    )
    rows.add_entry(connection, entry)


def _log_was_kept(work: Work) -> None:
    """Compare the log with what the audit log says of it, and let the audit log catch up (rule 3).

    Raises:
        RegistryLogError: an entry that the audit log knows is not there.
    """
    bench = work.bench
    with bench.store.reading() as connection:
        entries = verify_log(rows.log_entries(connection))
    own = SigningKey.load(bench.signing_key).public_key
    vault = bench.vault
    with vault.writing() as connection:
        known = _known(vault, connection)
        for position, digest in known.items():
            if position >= len(entries) or entries[position].digest != digest:
                raise RegistryLogError(f"position {position} of the log is not what was signed and audited")
        for entry in entries[len(known) :]:
            if entry.public_key != own:
                raise RegistryLogError(f"position {entry.entry['position']} of the log is signed by another key")
            vault.audit.append(
                connection,
                action=LOGGED,
                object_kind="registry-log",
                object_id=f"{entry.entry['position']}:{entry.digest}",
                actor="service",
            )


def _known(vault: Vault, connection: Connection) -> dict[int, str]:
    query = select(audit).where(audit.c.action == LOGGED, audit.c.object_kind == "registry-log")
    found = {}
    for entry in read_entries(connection, query.order_by(audit.c.position)):
        named = _OBJECT.fullmatch(entry.object_id)  # an event of the store has its number behind it
        if named is not None and entry.expected_leaf(vault.audit.key) == entry.leaf:
            found[int(named[1])] = named[2]
    return found


def _verified(work: Work, release_id: str, key: SigningKey) -> tuple[Manifest, str, Path]:
    bundle = work.bench.store.releases / release_id
    finish_marking(bundle)
    found = verify_bundle(bundle, TrustStore().add("service", key.public_key))
    if found.manifest is None:
        raise NotFoundError
    return found.manifest, hashlib.sha256((bundle / MANIFEST_NAME).read_bytes()).hexdigest(), bundle


def _file(path: Path) -> dict[str, Any]:
    data = path.read_bytes()
    return {"name": path.name, "size": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def _indicators(bundle: Path, document: dict[str, Any], folder: Path) -> list[dict[str, Any]]:
    """Make the tables for official statistics; none where the schema is not a shipped one, which alone has roles."""
    try:
        release = opened(Published(folder=bundle, document=document))
    except NotReadableError:
        return []
    return make_indicators(release, folder)


def _about(document: dict[str, Any]) -> list[tuple[str, str]]:
    return [
        ("title", str(document["title"])),
        ("cite as", citation(document)),
        ("guarantee", guarantee_words(document)),
        ("licence", str(document["licence"])),
        ("records", "made up by a model of protected numbers; no row is a person"),
    ]
