"""The client: ask a server questions, send it files, and fetch what it released. It imports none of the server."""

from casehaven.client.answers import Answer, AnswerRow
from casehaven.client.budgets import Allowance, Statement
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
from casehaven.client.questions import Quote, new_key
from casehaven.client.releases import Download, Release
from casehaven.client.token import Token
from casehaven.client.transport import Patience
from casehaven.client.uploads import Committed, Proposal, Upload

__all__ = [
    "Allowance",
    "Answer",
    "AnswerRow",
    "BadRequestError",
    "BudgetRefusedError",
    "Client",
    "ClientError",
    "Committed",
    "ConflictError",
    "Dataset",
    "Download",
    "ExistingDownloadError",
    "Job",
    "JobStoppedError",
    "NotAllowedError",
    "NotThereError",
    "Patience",
    "Principal",
    "Proposal",
    "Quote",
    "RefusedError",
    "Release",
    "ResultReadError",
    "SentFileError",
    "ServerAddressError",
    "ServiceFailedError",
    "SignInNeededError",
    "Statement",
    "StillRunningError",
    "Token",
    "TokenError",
    "TooManyRequestsError",
    "UnexpectedAnswerError",
    "UnreachableError",
    "Upload",
    "new_key",
]
