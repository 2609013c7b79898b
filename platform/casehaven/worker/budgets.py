"""Jobs that read and set what may be spent."""

from __future__ import annotations

from casehaven.ledger import AnalystId
from casehaven.ledger.own import own_ledger as ledger_of
from casehaven.ledger.public import in_words, public_statement, sign
from casehaven.worker.work import Done, Work
from casesynth.signing import SigningKey


def statement(work: Work) -> Done:
    """The signed public statement of cumulative loss: the state at the beginning of this month, in sixteenths."""
    signed = sign(public_statement(work.bench.ledger), SigningKey.load(work.bench.signing_key))
    return Done(result={"signed": signed.to_bytes().decode(), "words": in_words(signed.document)})


def own_ledger(work: Work) -> Done:
    """What the organisation's datasets spent, in the steps of the public statement, by month and by purpose, its allowances, and who may approve a raise."""
    ledger = work.bench.ledger
    present = ledger.approvers()
    people = () if present is None else present.people.signers
    approvers = [{"name": signer.name, "fingerprint": signer.public_key.fingerprint} for signer in people]
    return Done(result={**ledger_of(ledger, work.job.organisation), "approvers": approvers})


def set_allowance(work: Work) -> Done:
    """Set what one analyst may charge to one dataset; set again, it is the same."""
    nano = work.request["nano_rho"]
    work.bench.ledger.set_allowance(
        AnalystId(text=str(work.request["analyst"])), work.job.dataset, None if nano is None else int(nano)
    )
    return Done(result={})


def allowances(work: Work) -> Done:
    """What is left of the asker's own fair share in each dataset; nobody else's, and no account's balance (privacy rule 18)."""
    analyst = AnalystId(text=work.actor)
    states = [work.bench.ledger.allowance(analyst, dataset.id) for dataset in work.datasets()]
    return Done(
        result={
            "allowances": [
                {"dataset": s.dataset, "limit_nano_rho": s.limit_nano_rho, "left_nano_rho": s.left_nano_rho}
                for s in states
            ]
        }
    )
