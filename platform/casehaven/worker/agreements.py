"""The job of signing an agreement: the worker looks at the signature itself, and writes it where nobody else can.

1. The digest that was signed has to be the one of the latest document, hashed here. The signer is a steward of a contributor at this moment.
2. A steward who has a passkey signs with it: its assertion over the digest is checked here (`casehaven.agreements.signing`).
3. The signature is an entry of the vault's audit log, with a leaf under a key that the api never has, and then a row of the store. Done twice, it is done.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from sqlalchemy import Connection

from casehaven.agreements.document import AgreementDocument
from casehaven.agreements.errors import AgreementSignatureError
from casehaven.agreements.service import Method, Signature, add_signature, to_sign
from casehaven.agreements.signing import check_assertion, check_second_factor, has_passkey, signing_challenge
from casehaven.core.training import refuse_training
from casehaven.organisations.access import Operation, Reach, Right
from casehaven.organisations.errors import NotFoundError
from casehaven.organisations.members import Member, member_by_id
from casehaven.organisations.roles import rights_of
from casehaven.worker.pooling import SIGNED, log_entries
from casehaven.worker.work import Done, Work

_MAY_SIGN = Right(operation=Operation.AGREEMENT_SIGN, reach=Reach.OWN)


def sign(work: Work) -> Done:
    """Sign a document for the signer's organisation.

    Raises:
        NotFoundError: there is no such agreement for them.
        AgreementChangedError: the digest is not of the latest document, or that is over.
        AgreementSignatureError: the signature does not hold, or they may not sign.
        TrainingDataError: it names a dataset of training.
    """
    bench, asked = work.bench, work.request
    with bench.store.reading() as connection:
        signer = _signer(connection, work)
        document = to_sign(
            connection, bench.clock(), str(asked["agreement"]), str(asked["digest"]), signer.organisation
        )
        signature = _checked(connection, work, signer, document)
    refuse_training(document.datasets)
    vault = bench.vault
    with vault.writing() as connection:
        logged = log_entries(vault, connection, document.digest)
        if not any(entry.action == SIGNED and entry.organisation == signer.organisation for entry in logged):
            vault.audit.append(
                connection,
                action=SIGNED,
                object_kind="agreement",
                object_id=document.digest,
                organisation=signer.organisation,
                actor=signer.handle,
            )
    with bench.store.writing() as connection:
        add_signature(connection, document, signature)
    return Done(
        result={"agreement": document.agreement, "digest": document.digest, "organisation": signer.organisation}
    )


def _signer(connection: Connection, work: Work) -> Member:
    try:
        found = member_by_id(connection, work.job.member_id)
    except NotFoundError:
        raise AgreementSignatureError from None
    if not found.active or _MAY_SIGN not in rights_of(found.kind, found.roles):
        raise AgreementSignatureError
    return found


def _checked(connection: Connection, work: Work, signer: Member, document: AgreementDocument) -> Signature:
    """Return the signature when it holds (rule 2)."""
    given, origin = work.request.get("assertion"), str(work.request["origin"])
    method: Method = "passkey"
    assertion = None
    if isinstance(given, dict):
        assertion = check_assertion(
            connection,
            given,
            member=signer.id,
            challenge=signing_challenge(document.digest, signer.organisation, signer.handle),
            origin=origin,
            rp_id=urlsplit(origin).hostname or "",
        )
    elif has_passkey(connection, signer.id):
        raise AgreementSignatureError
    else:
        method = "second_factor"
        check_second_factor(
            connection, member=signer.id, session_id=work.request.get("session"), asked_at=work.job.queued_at
        )
    return Signature(
        organisation=signer.organisation,
        handle=signer.handle,
        signed_at=work.bench.clock(),
        method=method,
        assertion=assertion,
    )
