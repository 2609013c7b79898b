"""`casehaven demo`: the whole way once, with made-up people, through the same commands that a steward types."""

from __future__ import annotations

import io
import os
import shlex
import shutil
from collections.abc import Iterator
from contextlib import chdir, contextmanager, redirect_stdout
from pathlib import Path

import click

from casehaven.cli._root import main
from casehaven.cli.keys import DEFAULT_KEY, load_signing_key
from casehaven.errors import CasehavenError, outcome_of
from casehaven.ledger import BudgetExhaustedError

PEOPLE = 20_000
PEOPLE_CAP = 50_000
EPSILON = "2"
LEDGER_EPSILON = "2.5"
ORGANISATIONS = ("north", "south")
ROOT_KEY = "file:root.key"
"""Beside the vault, for a demonstration; in earnest it is kept elsewhere."""


class DemoFolderError(CasehavenError):
    """The folder for the demonstration is not empty."""


@click.command("demo")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("demo"),
    show_default=True,
    help="An empty or new folder.",
)
@click.option("--serve", is_flag=True, help="Then start a service with demonstration accounts, and leave it running.")
@click.option("--port", type=click.IntRange(1, 65534), default=8470, show_default=True, help="Of that service.")
def command(out: Path, serve: bool, port: int) -> None:
    """Show the whole way with made-up people: two organisations' files, a vault, a ledger, a release, its check, and a refusal."""
    out.mkdir(parents=True, exist_ok=True)
    if any(out.iterdir()):
        raise _not_empty(out)
    if serve:
        from casehaven.cli._demo_service import require_free

        require_free(port)
    with (
        _nothing_left_of(out),
        chdir(out),
    ):  # the demonstration is one process; its folder holds ledger, key and trust store by their default names
        _run(f"generate --people {PEOPLE} --seed 1 --organisations 2 -o cases.csv")
        _run(f"vault create --root-key {ROOT_KEY}")
        for number, organisation in enumerate(ORGANISATIONS, start=1):
            _run(
                f"intake cases-{number}.csv --organisation {organisation} --dataset cases --schema ctdc-global "
                f"--people-cap {PEOPLE_CAP // 2} --yes --root-key {ROOT_KEY}"
            )
            Path(f"cases-{number}.csv").unlink()  # what is in the vault has no business outside it
        _run(f"vault status --check --root-key {ROOT_KEY}")
        _run(f"ledger create --epsilon {LEDGER_EPSILON}")
        _run("keys create")
        release = (
            f"release --from north/cases --from south/cases --root-key {ROOT_KEY} --open-accounts --person-tokens shared "
            f"--epsilon {EPSILON} --title 'Demonstration with made-up people'"
        )
        _run(f"{release} --out release")
        fingerprint = load_signing_key(DEFAULT_KEY).public_key.fingerprint
        _run(f"keys trust add demo release --fingerprint {fingerprint}")
        _run("verify release")
        _run("ledger show")
        click.echo("\nA second release of the same people is more than the ledger allows:")
        try:
            _run(f"{release} --out second-release")
        except BudgetExhaustedError as error:
            advice = outcome_of(error)
            click.echo(f"error: {error}\ntry: {advice.advice if advice else ''}".rstrip())
        else:
            raise AssertionError("the ledger let a second release through")
    if serve:
        from casehaven.cli._demo_service import prepare_service, serve_demo  # the demonstration itself needs no service

        click.echo("\nA service with made-up people:")
        with _nothing_left_of(out):
            made = prepare_service((out / "service").absolute(), _run_briefly, port)
    click.echo(
        f"\nOpen {out / 'release' / 'showcase.html'} in a browser. Everything is in {out}{os.sep}; the people are made up."
    )
    if serve:
        serve_demo(made)


def _not_empty(out: Path) -> DemoFolderError:
    error = DemoFolderError(f"{out} is not empty; name another folder")
    if (out / "service" / "service.sqlite").is_file():
        again = f"casehaven serve --folder {shlex.quote(str(out / 'service'))}"
        error.add_note(
            f"name an empty or new folder with --out; or start the service that is there, with the accounts that were shown: `{again}`"
        )
    return error


@contextmanager
def _nothing_left_of(out: Path) -> Iterator[None]:
    """Where somebody interrupts the block, leave the folder as empty as it was: so the same command can be typed again."""
    try:
        yield
    except (KeyboardInterrupt, click.Abort):
        for path in out.absolute().iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
        raise


def _run_briefly(line: str) -> None:
    """Run a command, and show its last line alone: what it says in full was seen before."""
    click.echo(f"\n$ casehaven {line}")
    with redirect_stdout(io.StringIO()) as said:
        main.main(shlex.split(line), standalone_mode=False)
    lines = said.getvalue().split("\n")
    click.echo(next((one for one in reversed(lines) if one.strip()), ""))


def _run(line: str) -> None:
    click.echo(f"\n$ casehaven {line}")
    main.main(shlex.split(line), standalone_mode=False)
