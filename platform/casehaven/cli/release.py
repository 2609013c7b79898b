"""`casehaven release`: case files or datasets of the vault in, a protected and signed bundle out."""

from __future__ import annotations

import math
import shlex
import time
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from casehaven.cli._ledger import ledger_option
from casehaven.cli._progress import PhaseLine
from casehaven.cli._registered import parse_registered, registered_option
from casehaven.cli._vault import root_key_option, vault_option
from casehaven.cli.keys import key_option, load_signing_key
from casehaven.errors import EXIT_INTERRUPTED
from casehaven.ledger import (
    AlreadyRevealedError,
    ChargeState,
    IdempotencyConflictError,
    IdempotencyKey,
    Ledger,
    LedgerError,
)
from casehaven.releases.draft import ReleaseDraft
from casehaven.releases.service import release_case_files, release_vault_datasets
from caseschemas import CaseSchema, load_schema
from casesynth.apart import apart_said
from casesynth.bundle import people_interval
from casesynth.near import near_pairs
from casesynth.notes import registered_words
from casesynth.report.precision import drowned_words, typical
from casesynth.synthesis import Synthesis

if TYPE_CHECKING:
    from casehaven.vault.store import Vault


@click.command("release")
@click.argument("files", nargs=-1, type=click.Path(path_type=Path), metavar="[FILE...]")
@click.option(
    "--from",
    "sources",
    multiple=True,
    metavar="ORGANISATION/DATASET",
    help="A dataset of the vault, in place of FILEs. Can be repeated.",
)
@registered_option
@click.option("--schema", "schema_name", help="Of FILEs: id of a shipped schema, or a schema file.")
@click.option("--epsilon", type=float, required=True, help="Privacy loss for one person token, 0.001 to 100.")
@click.option("--delta", type=float, help="Default: the smaller of 1e-6 and 1 / (10 people_cap).")
@click.option(
    "--people-cap",
    type=int,
    help="Public bound on the number of people in all files together.  [default, from the vault: the datasets' own]",
)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder of the bundle; must not exist.")
@click.option(
    "--organisation",
    "organisations",
    multiple=True,
    help="Who contributes a file, one per FILE in the same order. The account that pays is theirs, whatever the file is called.",
)
@click.option("--open-accounts", is_flag=True, help="The datasets are new to this ledger: open their accounts.")
@click.option("--dataset", help="Name of the dataset within each organisation.  [default: the schema's id]")
@click.option("--person-key", help="Column that tells persons apart.  [default: the schema's person key]")
@click.option("--row-is-person", is_flag=True, help="Declare that one row is one person; the release says so.")
@click.option(
    "--person-tokens",
    "tokens_are",
    type=click.Choice(["shared", "separate"]),
    help="Of several organisations: shared, equal tokens mean the same person; separate, tokens are each organisation's own.",
)
@click.option("--legal-basis", help="On what ground the records may be used, where the files have no consent column.")
@click.option(
    "--max-tokens-per-person",
    type=int,
    help="How many person tokens one person may have.  [default: the number of organisations]",
)
@click.option("--tokens-reason", help="Why that is fewer than there are organisations; the release says so.")
@click.option(
    "--ignore-column", "ignored", multiple=True, help="A column beside the schema's that may be there; it is not read."
)
@click.option(
    "--decision-used-private-data",
    "private_decision",
    is_flag=True,
    help="Declare that a comparison with real records led to this release; the release says so.",
)
@click.option(
    "--table",
    "tables",
    multiple=True,
    metavar="ATTRIBUTE,ATTRIBUTE",
    help="A table that matters, of one to three attributes: it comes out sharper. Can be repeated.",
)
@click.option(
    "--table-share", type=float, help="Part of the budget that these tables share.  [default: the schema's, else 0.25]"
)
@click.option(
    "--without-schema-tables", "no_schema_tables", is_flag=True, help="Leave the tables that the schema names out."
)
@click.option("--title", help="Title of the release.  [default: names the schema]")
@click.option(
    "--idempotency-key", "request", help="The key of an attempt that did not finish: try again at no further charge."
)
@vault_option
@root_key_option
@ledger_option
@key_option
def command(
    files: tuple[Path, ...],
    sources: tuple[str, ...],
    registered: tuple[str, ...],
    schema_name: str | None,
    epsilon: float,
    delta: float | None,
    people_cap: int | None,
    out: Path,
    organisations: tuple[str, ...],
    open_accounts: bool,
    dataset: str | None,
    person_key: str | None,
    row_is_person: bool,
    tokens_are: Literal["shared", "separate"] | None,
    legal_basis: str | None,
    max_tokens_per_person: int | None,
    tokens_reason: str | None,
    ignored: tuple[str, ...],
    private_decision: bool,
    tables: tuple[str, ...],
    table_share: float | None,
    no_schema_tables: bool,
    title: str | None,
    request: str | None,
    vault_path: Path,
    root_spec: str,
    path: Path,
    key_path: Path,
) -> None:
    """Release case FILEs, or datasets of the vault, as a protected, signed bundle.

    The files' structure and person keys are checked first. From the vault, people count whose latest consent to synthetic release is a yes. The charge is committed to the ledger before a cell becomes a number, and
    it stands whatever happens after. Nothing that is printed or
    written depends on a single person by more than the guarantee allows.
    """
    started = time.monotonic()
    vault, schema, people_cap = _source(
        sources, bool(files), schema_name, people_cap, vault_path=vault_path, root_spec=root_spec
    )
    draft = ReleaseDraft(
        files=files,
        organisations=organisations,
        vault_datasets=sources,
        schema=schema,
        epsilon=epsilon,
        delta=delta,
        people_cap=people_cap,
        out=out,
        person_key=person_key,
        row_is_person=row_is_person,
        tokens_are=tokens_are,
        legal_basis=legal_basis,
        dataset=dataset,
        max_tokens_per_person=max_tokens_per_person,
        tokens_reason=tokens_reason,
        open_accounts=open_accounts,
        ignored_columns=ignored,
        decision_used_private_data=private_decision,
        title=title,
        tables=tuple(tuple(name.strip() for name in table.split(",")) for table in tables),
        table_share=table_share,
        schema_tables=not no_schema_tables,
        registered=parse_registered(registered),
    )
    ledger = Ledger.open(path)
    signing_key = load_signing_key(key_path)
    idempotency = IdempotencyKey.create() if request is None else IdempotencyKey(text=request)
    click.echo(
        f"request    {idempotency.text} (to finish it after a crash: --idempotency-key {idempotency.text})", err=True
    )
    known = {row.dataset for row in ledger.statement().rows}
    for dataset_id in draft.datasets:
        if open_accounts and dataset_id not in known:
            click.echo(f"new        {dataset_id}: accounts with a budget of their own", err=True)
    line = PhaseLine()
    try:
        if vault is None:
            outcome = release_case_files(draft, ledger, signing_key, idempotency, progress=line)
        else:
            outcome = release_vault_datasets(draft, vault, ledger, signing_key, idempotency, progress=line)
    except KeyboardInterrupt:
        line.close()
        advice = _say_what_stands(ledger, idempotency)
        click.echo("error: interrupted", err=True)
        click.echo(f"try: {advice or 'run the same command when you are ready'}", err=True)
        raise click.exceptions.Exit(EXIT_INTERRUPTED) from None
    except (AlreadyRevealedError, IdempotencyConflictError):  # trying again would end the same way
        line.close()
        raise
    except Exception as error:
        line.close()
        advice = _say_what_stands(ledger, idempotency)
        if advice is not None:
            error.add_note(advice)
        raise
    line.close()
    click.echo(f"released   {outcome.folder}")
    if outcome.synthesis is None:
        click.echo("charge     none: this request was released before, and this is that bundle")
        return
    for name, text in _summary(outcome.synthesis, draft.row_is_person, draft.registered):
        click.echo(f"{name:<10} {text}")
    click.echo(f"time       {time.monotonic() - started:.0f} s")
    click.echo(
        f"next       open {shlex.quote(str(outcome.folder / 'showcase.html'))} in a browser, and check the bundle: casehaven verify {shlex.quote(str(outcome.folder))}"
    )


def _source(
    sources: tuple[str, ...],
    files: bool,
    schema_name: str | None,
    people_cap: int | None,
    *,
    vault_path: Path,
    root_spec: str,
) -> tuple[Vault | None, CaseSchema, int]:
    """Return the vault, if records come from it, with the schema and the people cap that hold for this release."""
    if files == bool(sources):
        raise click.UsageError("name case FILEs, or datasets of the vault with --from; not both")
    if files:
        if schema_name is None or people_cap is None:
            raise click.UsageError("case FILEs need --schema and --people-cap")
        return None, load_schema(schema_name), people_cap
    if schema_name is not None:
        raise click.UsageError("datasets of the vault bring their schema; leave --schema away")
    from casehaven.cli._vault import open_vault  # a release of files opens no vault
    from casehaven.vault.datasets import parse_dataset_id

    vault = open_vault(vault_path, root_spec)
    datasets = [vault.dataset(*parse_dataset_id(source)) for source in sources]
    declared = sum(dataset.people_cap for dataset in datasets)
    return vault, datasets[0].schema, declared if people_cap is None else people_cap


def _say_what_stands(ledger: Ledger, request: IdempotencyKey) -> str | None:
    """After a failure: say whether something was charged; return what to do about it, None when nothing was."""
    again = f"run the same command with --idempotency-key {request.text}"
    try:
        record = ledger.find(request)
    except LedgerError:
        click.echo("note: the ledger cannot be read now; the charge may stand", err=True)
        return f"repair what is named above, then {again}: a charge that stands is not made twice"
    if record is None:
        click.echo("note: nothing was charged", err=True)
        return None
    if record.state in (ChargeState.WRITING, ChargeState.REVEALED):
        click.echo("note: the charge stands; the result is on disk and lacks its last step", err=True)
        return f"{again}: it finishes the bundle at no further charge"
    if record.state in (ChargeState.CHARGED, ChargeState.DRAWN):
        click.echo("note: the charge stands", err=True)
        return f"{again}: it tries once more at no further charge"
    click.echo("note: the charge stands, and nothing more may be drawn under it", err=True)
    return "start a new release without --idempotency-key; it is a new charge"


def _summary(synthesis: Synthesis, row_is_person: bool, registered: tuple[str, ...]) -> list[tuple[str, str]]:
    """Return what a person wants to know about a release; public facts and noisy numbers only."""
    plan = synthesis.plan
    people = people_interval(synthesis)
    unit = "record" if row_is_person else "person token"
    guarantee = f"epsilon {plan.epsilon:g}, delta {plan.delta:.2g} for one {unit}"
    if registered:
        guarantee += f"; charged to people first registered in {registered_words(registered)} alone"
    if plan.max_tokens_per_person > 1:
        rounded_up = math.ceil(plan.epsilon_per_person * 100) / 100
        guarantee += f"; epsilon {rounded_up:.2f} for a person behind {plan.max_tokens_per_person} {unit}s"
    drowned = drowned_words(synthesis)
    return [
        ("people", f"about {people.estimate:,} (95 % interval {people.low:,} to {people.high:,}), a noisy number"),
        ("guarantee", guarantee),
        ("error", _expected_error(synthesis)),
        ("shown", f"{synthesis.aggregates.known:,} combinations of up to three values; smaller ones are hidden"),
        *([] if drowned is None else [("hidden", drowned)]),
        *(("warning", pair.sentence()) for pair in near_pairs(synthesis.model, plan.domain)),
        *(("warning", said) for said in apart_said(synthesis.errors.apart, plan.domain)),
    ]


def _expected_error(synthesis: Synthesis) -> str:
    """Return how far counts may be off, or that the noise drowns them."""
    said = [
        f"{count.size:,} people +- {count.half_widths[1]:.0f} (two attributes) or {count.half_widths[2]:.0f} (three)"
        for count in typical(synthesis)
    ]
    if not said:
        return "the noise drowns what there is to count: use more people, a larger epsilon or fewer attributes"
    return f"in 19 of 20 cases {'; '.join(said)}"
