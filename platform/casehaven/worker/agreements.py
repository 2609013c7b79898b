"""The job of signing an agreement: the worker looks at the signature itself, and writes it where nobody else can.

1. The digest that was signed has to be the one of the latest document, hashed here. The signer is a steward of a contributor at this moment.
2. Whether it holds is checked here, and it is an entry of the vault's audit log (`casehaven.worker.signatures`), and then a row of the store. Done twice, it is done.
"""

from __future__ import annotations

from sqlalchemy import Connection

from casehaven.agreements.document import signing_challenge
from casehaven.agreements.errors import AgreementSignatureError
from casehaven.agreements.service import Signature, add_signature, to_sign
from casehaven.core.training import refuse_training
from casehaven.organisations.access import Operation, Reach, Right
from casehaven.organisations.errors import NotFoundError
from casehaven.organisations.members import Member, member_by_id
from casehaven.organisations.roles import rights_of
from casehaven.worker.pooling import SIGNATURES, signed_by
from casehaven.worker.signatures import proof_of
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
        challenge = signing_challenge(document.digest, signer.organisation, signer.handle)
        proof = proof_of(connection, work, signer, challenge)
    refuse_training(document.datasets)
    vault = bench.vault
    with vault.writing() as connection:
        if signer.organisation not in signed_by(vault, connection, document.digest):
            SIGNATURES.enter(vault, connection, document.digest, signer)
    signature = Signature(organisation=signer.organisation, handle=signer.handle, signed_at=bench.clock(), **proof)
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
