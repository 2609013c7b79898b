"""`casehaven dpia`: evidence for an impact assessment, with attack results in a sealed annex."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from casehaven.cli._ledger import ledger_option
from casehaven.cli._vault import open_vault, root_key_option, vault_option
from casehaven.cli.keys import key_option, load_signing_key
from casehaven.dpia import evidence, evidence_page
from casehaven.dpia.evidence import Setting
from casehaven.errors import CasehavenError
from casehaven.evaluation import compare, new_passphrase, report_page, sealed_report
from casehaven.evaluation.opening import datasets_of, own_signer
from casehaven.ledger import Ledger, check_report_may_open
from casehaven.ledger.public import public_statement
from casehaven.people.service import check_reason
from casehaven.releases.decision import drawn_release, open_report
from casehaven.releases.published import open_release, verified_facts
from casehaven.vault.datasets import Dataset
from casehaven.vault.store import Vault
from casesynth._files import write_whole


class EvidenceFolderError(CasehavenError):
    """The folder for the evidence is there already, or cannot be made."""


class NoSuchOrganisationError(CasehavenError):
    """The vault holds no dataset of an organisation."""


@click.command("dpia")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, file_okay=False), required=True, help="A folder; must not exist."
)
@click.option("--organisation", help="Only its datasets.  [default: all of the vault]")
@click.option(
    "--service",
    "service_folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of the service, for the agreements in force.",
)
@click.option("--store", "database", help="The service's Postgres database, where it has one.")
@click.option(
    "--attacks-on",
    "bundles",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="BUNDLE",
    help="A release of the vault that is decided about: attack it, and seal the results into an annex.",
)
@click.option("--schema", "schema_name", help="Id or file of their schema.  [default: the one that each bundle names]")
@click.option("--reason", help="Why records are opened for the annex. Sealed in the log.  [asked for if not given]")
@vault_option
@root_key_option
@ledger_option
@key_option
def command(
    output: Path,
    organisation: str | None,
    service_folder: Path | None,
    database: str | None,
    bundles: tuple[Path, ...],
    schema_name: str | None,
    reason: str | None,
    vault_path: Path,
    root_spec: str,
    path: Path,
    key_path: Path,
) -> None:
    """Write evidence for an impact assessment: inventory, flows, ledger, settings, agreements, duties; attack results in a sealed annex.

    Without --attacks-on no record is opened. The assessment itself is written by people: the page says what is left to them.
    """
    if output.exists() or output.is_symlink():
        raise EvidenceFolderError(f"{output} is there already")
    vault, ledger = open_vault(vault_path, root_spec), Ledger.open(path)
    datasets = [each for each in vault.datasets() if organisation in (None, each.organisation)]
    if not datasets:
        raise NoSuchOrganisationError("the vault holds no dataset" + (f" of {organisation}" if organisation else ""))
    agreements = None if service_folder is None else _agreements(service_folder, database, datasets)
    found = evidence(
        datasets=datasets,
        statement=public_statement(ledger, name_contributors=True),
        settings=_settings(vault, ledger, root_spec, service_folder, database),
        agreements=agreements,
        made_on=datetime.now(UTC).date(),
    )
    sealed: list[tuple[str, str, str]] = []
    if bundles:
        why = check_reason(reason if reason is not None else click.prompt("What for (no names)", err=True))
        for number, bundle in enumerate(bundles, 1):
            passphrase = new_passphrase()
            sealed.append(
                (
                    f"annex-{number}.html",
                    _attacked(bundle, schema_name, vault, ledger, key_path, why, passphrase),
                    passphrase,
                )
            )
    try:
        output.mkdir(parents=True)
    except OSError as error:
        raise EvidenceFolderError(f"{output} cannot be made: {error.strerror}") from None
    page = evidence_page(found, [name for name, _, _ in sealed])
    for name, text in (
        ("evidence.json", json.dumps(found, ensure_ascii=False, indent=1) + "\n"),
        ("evidence.html", page),
        *((name, text) for name, text, _ in sealed),
    ):
        write_whole(output / name, text.encode(), mode=0o600, replace=False)
    click.echo(f"evidence   {output / 'evidence.html'}, for programs {output / 'evidence.json'}")
    for name, _, passphrase in sealed:
        click.echo(f"annex      {output / name}, sealed; passphrase {passphrase}  (shown once; keep it apart)")
    if agreements is None:
        click.echo("agreements were not looked at; name the service's folder with --service", err=True)
    click.echo("next       write what is left to people: the section Duties says what", err=True)


def _attacked(
    bundle: Path, schema_name: str | None, vault: Vault, ledger: Ledger, key_path: Path, reason: str, passphrase: str
) -> str:
    """Attack a release after the decision about it, and return the sealed page."""
    key = load_signing_key(key_path)
    drawn = drawn_release(bundle, ledger, key)
    check_report_may_open(drawn.decision, before_decision=False)
    release = open_release(verified_facts(bundle, own_signer(key)), schema_name)
    open_real = datasets_of(vault, release, drawn, drawn.decision.datasets, reason)
    decision = open_report(drawn, ledger, key, before_decision=False)  # privacy rule 33: on the record first
    return sealed_report(report_page(compare(release, decision, open_real(decision))), passphrase)


def _agreements(folder: Path, database: str | None, datasets: Sequence[Dataset]) -> list[Mapping[str, Any]]:
    from casehaven.agreements.service import agreements_of  # evidence of a vault alone needs no service
    from casehaven.core.service_store import ServiceStore

    now = int(datetime.now(UTC).timestamp())
    with ServiceStore.open(folder, database).reading() as connection:
        every = [
            one for name in sorted({each.organisation for each in datasets}) for one in agreements_of(connection, name)
        ]
    documents = {found.agreement: found for one in every if (found := one.in_force(now)) is not None}
    return [
        {
            "agreement": name,
            "title": found.title,
            "contributors": list(found.contributors),
            "datasets": list(found.datasets),
            "askers": [*found.asking_organisations, *found.asking_members],
            "purposes": list(found.purposes),
            "budget_nano_rho": found.budget_nano_rho,
            "people_cap": found.people_cap,
            "minimum_count": found.minimum_count,
            "expires": found.expires,
        }
        for name, found in sorted(documents.items())
    ]


_ROOTS = {
    "file": "a file that this machine can read: who takes machine and file opens the vault",
    "passphrase": "a passphrase that somebody types: a stolen machine opens nothing",
    "env": "the environment of the process: kept by whatever starts it",
    "pkcs11": "a PKCS#11 token: the key never leaves it",
}


def _settings(
    vault: Vault, ledger: Ledger, root_spec: str, service_folder: Path | None, database: str | None
) -> list[Setting]:
    root = root_spec.partition(":")[0]
    policy = ledger.statement().policy
    cap = policy.odometer_epsilon
    settings = [
        Setting(name="root key", value=root, meaning=_ROOTS.get(root, "see docs/spec/vault.md")),
        Setting(
            name="database",
            value="Postgres" if vault.database.path is None else "SQLite, in the vault's folder",
            meaning="it holds sealed bytes and keyed hashes; who reads it can count rows",
        ),
        Setting(
            name="anchor",
            value="beside the vault" if vault.folder.anchor_path.parent == vault.folder.path.parent else "elsewhere",
            meaning="remembers erasures, refusals and the audit log's head; on other storage it finds an older copy",
        ),
        Setting(
            name="epsilon for one account",
            value=str(policy.account.epsilon),
            meaning="the most that one dataset's people of one block ever lose",
        ),
        Setting(
            name="epsilon for one person over all datasets",
            value="not capped" if cap is None else str(cap),
            meaning="beside the accounts' caps; not capped means the sum of them bounds it",
        ),
    ]
    for name in vault.keystore.organisations:
        settings.append(
            Setting(
                name=f"keys of {name}",
                value=f"epoch {vault.keystore.organisation(name).epoch}",
                meaning="month of the last rotation; earlier keys are in no later backup of keys",
            )
        )
    if service_folder is not None:
        settings.append(
            Setting(
                name="service",
                value="store on Postgres" if database else "embedded store",
                meaning="with api and worker under one user the api's user could read keys; two users keep them apart (docs/guides/service.md)",
            )
        )
    return settings
