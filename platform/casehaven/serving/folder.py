"""The folder of a service: what is where, and what the first start makes.

    SERVICE/service.sqlite, uploads/, releases/   the service store: api and worker
    SERVICE/signin.key, api.key                   keys of the api
    SERVICE/vault/, vault.keys/, vault.anchor     the vault: worker
    SERVICE/root.key                              the root key: worker; keep a copy elsewhere
    SERVICE/ledger.sqlite, ledger.sqlite.anchor   the ledger: worker
    SERVICE/signing.pem                           the key that signs releases and statements: worker

1. The first start makes all of it, under a mark that goes when it is done. A start that was cut short goes on where it was.
2. Without that mark nothing is ever made in the place of what is missing: a new ledger beside an old vault would forget what was spent (privacy rule 20).
3. Who may approve raises is named when the ledger is made, by whoever starts the service first. Named again, they have to be those whom the ledger names now: a start changes nobody.
4. In split mode vault, keystore, root key and ledger are in folders of the worker's user, and named by options.
5. A ledger on a server is made beforehand, by `casehaven ledger create`, which is told where its anchor is kept: a start opens it, and makes nothing where it is not there.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from casehaven.core.service_store import ServiceStore
from casehaven.serving.errors import ApiKeyError, OtherApproversError, UnfinishedFolderError
from casesynth._files import NotRegularFileError, open_regular, write_whole

if TYPE_CHECKING:
    from casesynth.signing import TrustStore

_MARK: Final = "first-start"
_KEY_BYTES: Final = 32
_KEY: Final = re.compile(r"[0-9a-f]{64}\n?")

DELTA: Final = "1e-6"
"""At which the epsilon of a first start holds."""


@dataclass(frozen=True, kw_only=True)
class ServiceFolder:
    """Where the parts of a service are."""

    path: Path
    database: str | None = None
    """Address of a Postgres database for the service store; None: a file in the folder."""
    vault: Path
    root: str
    """Where the root key is, as `--root-key` says it."""
    ledger: Path | str
    signing_key: Path

    @classmethod
    def at(
        cls,
        path: Path,
        *,
        database: str | None = None,
        vault: Path | None = None,
        root: str | None = None,
        ledger: Path | str | None = None,
        signing_key: Path | None = None,
    ) -> ServiceFolder:
        """Return the places of a folder; what is not named is in it."""
        return cls(
            path=path,
            database=database,
            vault=path / "vault" if vault is None else vault,
            root=f"file:{path / 'root.key'}" if root is None else root,
            ledger=path / "ledger.sqlite" if ledger is None else ledger,
            signing_key=path / "signing.pem" if signing_key is None else signing_key,
        )

    @property
    def is_new(self) -> bool:
        """Whether nothing was made yet, or not all of it."""
        mark = self.path / _MARK
        return mark.exists() or not (self.path.is_dir() and any(self.path.iterdir()))

    def open_store(self) -> ServiceStore:
        """Open the service store.

        Raises:
            UnfinishedFolderError: it is not there.
        """
        if self.database is None and not (self.path / "service.sqlite").is_file():
            raise UnfinishedFolderError(f"{self.path} holds no service store")
        return ServiceStore.open(self.path, self.database)

    def make_store(self) -> ServiceStore:
        """Open the service store; make it where the folder is new."""
        if not self.is_new:
            return self.open_store()
        if self.database is None and (self.path / "service.sqlite").is_file():
            return ServiceStore.open(self.path, self.database)
        return ServiceStore.create(self.path, self.database)

    def make(self, *, epsilon: str, approvers: TrustStore | None = None) -> ServiceStore:
        """Make everything that a first start needs; open the store where it is made already.

        Args:
            epsilon: the budget of every account, for good; of a ledger that is there already, it says nothing.
            approvers: at least two people who may approve raises; None or nobody: no cap of a ledger that is made here is ever raised.

        Raises:
            UnfinishedFolderError: something is missing that was there before (rule 2).
            NotALedgerError: the ledger is to be on a server, and is not there (rule 5); nothing was made.
            BudgetRaiseError: one person alone would approve; nothing was made.
            OtherApproversError: the ledger is there, and names others (rule 3); nothing was made.
        """
        if not self.is_new:
            self.check()
        self._check_ledger()
        self._check_approvers(approvers)
        if not self.is_new:
            return self.open_store()
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.chmod(self.path, 0o700)  # one user: nothing in it is for others
        os.close(os.open(self.path / _MARK, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600))
        store = self.make_store()
        self._make_vault(epsilon, approvers)
        (self.path / _MARK).unlink()
        return store

    def check(self) -> None:
        """Refuse a folder without its vault or its ledger.

        Raises:
            UnfinishedFolderError: names what is missing.
        """
        for part in (self.vault, self.ledger):
            if isinstance(part, Path) and not part.exists():
                raise UnfinishedFolderError(f"{part} is missing; nothing is made in its place")

    def approvers(self) -> TrustStore:
        """Return who may approve raises, as the ledger names them; nobody: no cap of it is raised."""
        from casehaven.ledger import Ledger
        from casesynth.signing import TrustStore

        present = Ledger.open(self.ledger).approvers()
        return TrustStore() if present is None else present.people

    def _check_ledger(self) -> None:
        if isinstance(self.ledger, Path):
            return
        from casehaven.ledger import Ledger, NotALedgerError

        try:
            Ledger.open(self.ledger)
        except NotALedgerError as error:
            if self.is_new:  # later, it is one that was lost
                error.add_note(
                    "make it first: `casehaven ledger create --ledger ADDRESS --anchor FILE --epsilon NUMBER`"
                )
            raise

    def _check_approvers(self, approvers: TrustStore | None) -> None:
        if approvers is None or not approvers.signers:
            return
        from casehaven.ledger.approvers import check_people

        check_people(approvers)
        if isinstance(self.ledger, Path) and not self.ledger.exists():
            return
        named = self.approvers().signers
        if {(one.name, one.public_key) for one in named} != {(one.name, one.public_key) for one in approvers.signers}:
            names = ", ".join(f"{one.name} ({one.public_key.fingerprint})" for one in named) or "nobody"
            raise OtherApproversError(f"the ledger is there already, and raises are approved by {names}")

    def _make_vault(self, epsilon: str, approvers: TrustStore | None) -> None:
        from casehaven.ledger import BudgetPolicy, Ledger, LedgerPolicy
        from casehaven.vault.folder import FILE
        from casehaven.vault.rootkeys import create_root, parse_root
        from casehaven.vault.store import Vault
        from casesynth.signing import SigningKey, TrustStore

        kind, _, place = self.root.partition(":")
        there = kind != "file" or Path(place).exists()
        root = parse_root(self.root) if there else create_root(self.root)
        if not (self.vault / FILE).exists():
            Vault.create(self.vault, root)
        if isinstance(self.ledger, Path) and not self.ledger.exists():
            people = TrustStore() if approvers is None else approvers
            Ledger.create(self.ledger, LedgerPolicy(account=BudgetPolicy.of(epsilon, DELTA)), approvers=people)
        if not self.signing_key.exists():
            SigningKey.create().save(self.signing_key)


def api_key(folder: Path) -> bytes:
    """Return the api's own key: 32 random bytes in `api.key`, made whole or not at all where there is none.

    Raises:
        ApiKeyError: the file is no such key, or others may read it.
    """
    path = folder / "api.key"
    with contextlib.suppress(FileExistsError):
        write_whole(path, f"{secrets.token_bytes(_KEY_BYTES).hex()}\n".encode("ascii"), mode=0o600, replace=False)
    try:
        with open_regular(path) as file:
            others = os.fstat(file.fileno()).st_mode & 0o077
            text = file.read(200).decode("ascii", "replace")
    except (OSError, NotRegularFileError):
        raise ApiKeyError("api.key cannot be read as a file") from None
    if others:
        raise ApiKeyError("api.key must be a file that only its owner may read (chmod 600)")
    if not _KEY.fullmatch(text):
        raise ApiKeyError("api.key is no key of the api")
    return bytes.fromhex(text)
