"""The root command: finds subcommands when they are called, and turns every error into two lines and an exit code.

1. A subcommand's module is imported when it runs or is asked for its own help; `casehaven --help` imports none.
2. Nothing ends in a traceback. An error prints `error: ...` and `try: ...` on standard error, and the table in `casehaven.errors` gives the
   exit code. A fault of the program names the place in the code and keeps its message to itself: it could hold a cell of a file.
3. An interrupt is answered with a sentence and exit code 130.
"""

from __future__ import annotations

import errno
import importlib
import importlib.util
import os
import sys
import traceback
from collections.abc import Sequence
from typing import Any

import click

from casehaven.errors import EXIT_INTERRUPTED, EXIT_REFUSED, EXIT_USAGE, outcome_of

SUBCOMMANDS: dict[str, tuple[str, str]] = {
    "answers": ("casehaven.cli.answers", "List what was asked before, and show it again at no charge."),
    "ask": ("casehaven.cli.ask", "Ask a question about people, and get a private answer."),
    "audit": ("casehaven.cli.audit", "Verify the audit log, write its checkpoints, and say who did what."),
    "backup": ("casehaven.cli.backup", "Write a sealed backup of the vault."),
    "budget": ("casehaven.cli.budget", "Say what may be spent, and what the public is told of it."),
    "compare": ("casehaven.cli.compare", "Set two releases side by side and say which changes are real."),
    "dataset": ("casehaven.cli.dataset", "List and make datasets, and say how one stands."),
    "decide": ("casehaven.cli.decide", "Publish or withhold a drawn release, for good."),
    "demo": ("casehaven.cli.demo", "Show the whole way once, with made-up people."),
    "dpia": ("casehaven.cli.dpia", "Write evidence for an impact assessment."),
    "drill": ("casehaven.cli.drill", "Try a backup: restore it for a moment, and check everything."),
    "evaluate": ("casehaven.cli.evaluate", "Compare a release with its real records; private."),
    "generate": ("casehaven.cli.generate", "Write made-up case records for a schema."),
    "indicators": ("casehaven.cli.indicators", "Write the tables of official statistics from a release."),
    "intake": ("casehaven.cli.intake", "Take case files into the vault, sealed person by person."),
    "k-release": ("casehaven.cli.k_release", "Make a k-synthetic file: NOT differentially private."),
    "keys": ("casehaven.cli.keys", "Make a signing key, and say whose signatures are trusted."),
    "ledger": ("casehaven.cli.ledger", "Create the privacy ledger and show what has been spent."),
    "linkage": ("casehaven.cli.linkage", "Make an agreement's linkage key, and find what a reference became."),
    "person": ("casehaven.cli.person", "Find, show, correct and erase one person, and record consent."),
    "plan": ("casehaven.cli.plan", "Say what a release would be worth, before it is made."),
    "prepare": ("casehaven.cli.prepare", "Seal records at the organisation, without names and free text."),
    "quote": ("casehaven.cli.quote", "Say what a question would cost, before it is asked."),
    "refused": ("casehaven.cli.refused", "Show the rows that an intake refused, with a reason."),
    "registry": ("casehaven.cli.registry", "Check the public log of what a server published."),
    "release": ("casehaven.cli.release", "Turn case files, or the vault's, into a protected, signed bundle."),
    "releases": ("casehaven.cli.releases", "List the bundles that a server published, and fetch them."),
    "restore": ("casehaven.cli.restore", "Make a vault from a backup, with every erasure done again."),
    "schema": ("casehaven.cli.schema", "List, show, document and check case schemas; map records."),
    "serve": ("casehaven.cli.serve", "Start the service: api and worker."),
    "tables": ("casehaven.cli.tables", "Count your own people exactly; for donor reports, not for release."),
    "vault": ("casehaven.cli.vault", "Make a vault for case records, and look after it and its keys."),
    "verify": ("casehaven.cli.verify", "Check that a release bundle is whole and who signed it."),
}
"""Name of a subcommand: its module, which defines `command`, and the line in the help."""


class RootGroup(click.Group):
    """A click group that loads its subcommands late and ends without tracebacks."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The subcommands that this installation has."""
        return [
            name for name, (module, _) in sorted(SUBCOMMANDS.items()) if importlib.util.find_spec(module) is not None
        ]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The subcommand of this name, imported now; None when there is none."""
        if cmd_name not in self.list_commands(ctx):
            return None
        found = importlib.import_module(SUBCOMMANDS[cmd_name][0]).command
        if not isinstance(found, click.Command):
            raise TypeError(f"{SUBCOMMANDS[cmd_name][0]} defines no click command")
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of subcommands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, SUBCOMMANDS[name][1]) for name in self.list_commands(ctx)])

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        """Run the command line and end the process; in standalone mode no exception but SystemExit leaves."""
        if not standalone_mode:
            return super().main(args, prog_name, complete_var, standalone_mode=False, **extra)
        try:
            code = super().main(args, prog_name, complete_var, standalone_mode=False, **extra)
            sys.stdout.flush()
        except click.exceptions.NoArgsIsHelpError as error:
            click.echo(error.format_message(), err=True)
            sys.exit(EXIT_USAGE)
        except click.UsageError as error:
            name = error.ctx.command_path if error.ctx is not None else "casehaven"
            _say(error.format_message(), f"`{name} --help`")
            sys.exit(EXIT_USAGE)
        except click.ClickException as error:
            _say(error.format_message(), "check the path and its permissions")
            sys.exit(EXIT_REFUSED)
        except click.Abort as error:
            if isinstance(error.__cause__ or error.__context__, EOFError):
                _say("the input ended where an answer was expected", "give the answer as an option; see --help")
                sys.exit(EXIT_REFUSED)
            _say(
                "interrupted; nothing half-made was left behind, and a charge that the ledger had committed stands",
                "run the same command again when you are ready",
            )
            sys.exit(EXIT_INTERRUPTED)
        except Exception as error:  # noqa: BLE001 - rule 2: the one place where every failure becomes two lines
            sys.exit(_explain(error))
        sys.exit(code if isinstance(code, int) else 0)


def _explain(error: Exception) -> int:
    """Print an error as two lines and return its exit code."""
    if (
        isinstance(error, OSError) and error.errno == errno.EPIPE
    ):  # the reader of our output left: `casehaven ... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_REFUSED
    found = outcome_of(error)
    if found is None:
        frames = traceback.extract_tb(error.__traceback__)
        place = f"{os.path.basename(frames[-1].filename)}:{frames[-1].lineno}" if frames else "an unknown place"
        _say(
            f"the program failed ({type(error).__name__} at {place}); this is a fault of the program, not of your data",
            "report this line and the command to the maintainers; never attach a case file",
        )
        return EXIT_REFUSED
    notes = getattr(error, "__notes__", None)  # a command that knows better advice adds it as a note
    advice = notes[0] if notes else found.advice
    if isinstance(error, OSError):
        named = f": {error.filename}" if error.filename else ""
        _say(f"{error.strerror or type(error).__name__}{named}", advice)
    else:
        _say(str(error), advice)
    return found.exit_code


def _say(what: str, advice: str) -> None:
    click.echo(f"error: {what}", err=True)
    click.echo(f"try: {advice}", err=True)


@click.group(cls=RootGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="casehaven", message="casehaven %(version)s")
def main() -> None:
    """Share what case records of human trafficking show, without exposing anyone."""
