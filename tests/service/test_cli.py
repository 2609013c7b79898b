"""The root command: it is quick to start, it never ends in a traceback, and every error has an exit code and advice."""

from __future__ import annotations

import errno
import importlib
import pkgutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from types import ModuleType

import click
import pytest
from click.testing import CliRunner, Result

import casehaven
import caseschemas
import casesynth
from casehaven.cli import main
from casehaven.cli._root import SUBCOMMANDS, RootGroup
from casehaven.errors import CasehavenError, outcome_of, outcomes
from casehaven.ledger import BudgetExhaustedError, LedgerMissingError
from caseschemas.errors import CaseschemasError
from casesynth.errors import CasesynthError
from casesynth.manifest import ChangedFileError, UnknownSignerError
from casesynth.signing import BadSignatureError

ROOTS = (CasehavenError, CasesynthError, CaseschemasError)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


def run_raising(error: BaseException) -> Result:
    """Run the real root with one subcommand that fails in this way."""

    @click.command("act")
    def act() -> None:
        raise error

    class Root(RootGroup):
        def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
            return act

    return CliRunner().invoke(Root("casehaven"), ["act"])


def classes_of(package: ModuleType) -> Iterator[type]:
    for found in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        module = importlib.import_module(found.name)
        yield from (
            value for value in vars(module).values() if isinstance(value, type) and value.__module__ == found.name
        )


# --- start ------------------------------------------------------------------------------------------------------------------


def test_help_lists_every_subcommand_and_each_one_loads_under_its_name() -> None:
    shown = run("--help")
    assert shown.exit_code == 0
    root = main
    assert isinstance(root, RootGroup)
    context = click.Context(root)
    for name in root.list_commands(context):
        command = root.get_command(context, name)
        assert command is not None
        assert f"{name} " in shown.output
        assert SUBCOMMANDS[name][1] in shown.output
        assert command.name == name
        assert command.help


def test_help_imports_no_subcommand_and_none_of_the_heavy_packages() -> None:
    script = (
        "import sys\n"
        "from casehaven.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'casehaven.cli.ledger', 'casehaven.cli.verify', 'casesynth', 'sqlalchemy', 'numpy', 'pandas', 'opendp'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)\n"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=180, check=True)
    assert ended.stderr.strip() == "[]"


def test_the_installed_command_starts() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", "from casehaven.cli import main; main()", "--version"],
        capture_output=True,
        text=True,
        timeout=180,
        check=True,
    )
    assert ended.stdout.startswith("casehaven ")


@pytest.mark.parametrize(
    "arguments", [["frob"], ["ledger", "frob"], ["ledger", "show", "--frob"], ["verify"], ["keys", "trust", "add"]]
)
def test_wrong_usage_is_exit_2_with_advice(arguments: list[str]) -> None:
    ended = run(*arguments)
    assert ended.exit_code == 2
    lines = ended.stderr.splitlines()
    assert [line.split(":")[0] for line in lines] == ["error", "try"]
    assert "--help" in lines[1]


# --- errors -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (BudgetExhaustedError("spent"), 3),
        (UnknownSignerError("unknown", fingerprint="SHA256:x"), 2),
        (ChangedFileError("changed"), 1),
        (BadSignatureError("bad"), 1),
        (LedgerMissingError("none"), 1),
        (CaseschemasError("faults"), 1),
        (CasesynthError("refused"), 1),
        (CasehavenError("refused"), 1),
    ],
)
def test_an_error_is_two_lines_and_its_exit_code(error: Exception, code: int) -> None:
    ended = run_raising(error)
    assert ended.exit_code == code
    assert ended.stdout == ""
    assert ended.stderr.startswith(f"error: {error}\ntry: ")
    assert len(ended.stderr.splitlines()) == 2


def test_a_note_on_the_error_is_the_better_advice() -> None:
    error = CasehavenError("refused")
    error.add_note("turn it off and on")
    assert run_raising(error).stderr == "error: refused\ntry: turn it off and on\n"


def test_a_fault_of_the_program_names_its_place_and_never_its_message() -> None:
    ended = run_raising(KeyError("a cell of a case record"))
    assert ended.exit_code == 1
    assert "KeyError at test_cli.py:" in ended.stderr
    assert "case record" not in ended.output
    assert "Traceback" not in ended.output


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "out.csv"), "No space left on device: out.csv"),
        (PermissionError(errno.EACCES, "Permission denied", "in.csv"), "Permission denied: in.csv"),
        (click.FileError("in.csv", "no such file"), "in.csv"),
    ],
)
def test_trouble_with_a_file_is_said_in_words(error: Exception, words: str) -> None:
    ended = run_raising(error)
    assert ended.exit_code == 1
    assert words in ended.stderr
    assert "try: " in ended.stderr


def test_an_interrupt_is_a_sentence_and_exit_130() -> None:
    ended = run_raising(KeyboardInterrupt())
    assert ended.exit_code == 130
    assert ended.stderr.strip().startswith("error: interrupted; nothing half-made was left behind")
    assert "Traceback" not in ended.output


def test_a_real_interrupt_signal_ends_a_running_command_with_130() -> None:
    script = (
        "import click, time\n"
        "from casehaven.cli._root import RootGroup\n"
        "@click.command('act')\n"
        "def act():\n"
        "    print('ready', flush=True)\n"
        "    time.sleep(300)\n"
        "class Root(RootGroup):\n"
        "    def get_command(self, ctx, cmd_name): return act\n"
        "Root('casehaven').main(['act'])\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "interrupted" in said
    assert "Traceback" not in said


def test_a_reader_that_leaves_early_causes_no_noise() -> None:
    script = (
        "import click\n"
        "from casehaven.cli._root import RootGroup\n"
        "@click.command('act')\n"
        "def act():\n"
        "    for _ in range(100_000): click.echo('a line')\n"
        "class Root(RootGroup):\n"
        "    def get_command(self, ctx, cmd_name): return act\n"
        "Root('casehaven').main(['act'])\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(timeout=120) == 1


# --- the table --------------------------------------------------------------------------------------------------------------


def test_every_row_of_the_table_names_a_class_of_one_of_the_three_families() -> None:
    for name in outcomes():
        module, _, cls = name.rpartition(".")
        found = getattr(importlib.import_module(module), cls)
        assert issubclass(found, ROOTS), name


def test_every_error_of_the_three_packages_has_an_outcome() -> None:
    packages = (casehaven, casesynth, caseschemas)
    errors = [cls for package in packages for cls in classes_of(package) if issubclass(cls, Exception)]
    assert len(errors) > 30
    for cls in (cls for cls in errors if not cls.__name__.startswith("_")):  # a private one never leaves its module
        assert issubclass(cls, ROOTS), f"{cls} is not in a family"
        assert outcome_of(cls.__new__(cls)) is not None


def test_advice_begins_with_a_small_letter_and_a_verb_and_every_code_is_a_known_one() -> None:
    for name, outcome in outcomes().items():
        assert outcome.exit_code in (1, 2, 3), name
        assert outcome.advice, name
        assert outcome.advice[0].islower() or outcome.advice[0] == "`", name
        assert not outcome.advice.endswith("."), name
