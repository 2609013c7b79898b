"""The client: ask a server questions, send it files, and fetch what it released. It imports none of the server."""

from casehaven.client.agreements import Agreement
from casehaven.client.answers import Answer, AnswerRow
from casehaven.client.audit import AuditVerification, Checkpoint
from casehaven.client.budgets import Allowance, CapRaise, OwnAccount, OwnLedger, Statement
from casehaven.client.client import Client, Principal
from casehaven.client.datasets import Dataset
from casehaven.client.errors import (
    BadRequestError,
    BudgetRefusedError,
    ClientError,
    ConflictError,
    ExistingDownloadError,
    JobStoppedError,
    NotAllowedError,
    NotThereError,
    RefusedError,
    ResultReadError,
    SentFileError,
    ServerAddressError,
    ServiceFailedError,
    SignInNeededError,
    StillRunningError,
    TokenError,
    TooManyRequestsError,
    UnexpectedAnswerError,
    UnreachableError,
)
from casehaven.client.jobs import Job
from casehaven.client.people import DuePerson, PossibleDuplicate, Receipt
from casehaven.client.questions import Quote, new_key
from casehaven.client.releases import Download, Release
from casehaven.client.session import Session
from casehaven.client.statistics import DatasetStanding, OwnTables, TakenIn
from casehaven.client.token import Token
from casehaven.client.transport import Patience
from casehaven.client.uploads import Committed, Proposal, Upload

__all__ = [
    "Agreement",
    "Allowance",
    "Answer",
    "AnswerRow",
    "AuditVerification",
    "BadRequestError",
    "BudgetRefusedError",
    "CapRaise",
    "Checkpoint",
    "Client",
    "ClientError",
    "Committed",
    "ConflictError",
    "Dataset",
    "DatasetStanding",
    "Download",
    "DuePerson",
    "ExistingDownloadError",
    "Job",
    "JobStoppedError",
    "NotAllowedError",
    "NotThereError",
    "OwnAccount",
    "OwnLedger",
    "OwnTables",
    "Patience",
    "PossibleDuplicate",
    "Principal",
    "Proposal",
    "Quote",
    "Receipt",
    "RefusedError",
    "Release",
    "ResultReadError",
    "SentFileError",
    "ServerAddressError",
    "ServiceFailedError",
    "Session",
    "SignInNeededError",
    "Statement",
    "StillRunningError",
    "TakenIn",
    "Token",
    "TokenError",
    "TooManyRequestsError",
    "UnexpectedAnswerError",
    "UnreachableError",
    "Upload",
    "new_key",
]
