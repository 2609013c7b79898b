"""Runs the benchmarks one after the other and writes what they print into docs/benchmarks.md, with the commands.

make bench            everything
python benchmarks/run.py --only engine
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "benchmarks.md"

_ALL_DATA = ("--data", "generated-50000", "--data", "adult", "--data", "complaints")
_FOUR_EPSILONS = ("--epsilon", "0.5", "--epsilon", "1", "--epsilon", "4", "--epsilon", "12")

RUNS: dict[str, tuple[str, tuple[tuple[str, ...], ...]]] = {
    "engine": (
        "Accuracy, time and memory of a release",
        (
            ("engine.py", *_ALL_DATA, *_FOUR_EPSILONS, "--runs", "3"),
            ("engine.py", "--data", "generated-10000", "--data", "generated-200000", *_FOUR_EPSILONS, "--runs", "3"),
        ),
    ),
    "peers": (
        "Beside pac-synth, on the same people in the same run",
        (
            ("peers.py", "--data", "generated-50000", "--epsilon", "1", "--epsilon", "4", "--peer", "pac-synth"),
            ("peers.py", "--data", "generated-50000", "--epsilon", "1", "--peer", "pac-synth", "--runs", "10"),
            ("peers.py", "--data", "generated-2000x12", "--epsilon", "2", "--peer", "pac-synth"),
        ),
    ),
    "pac-synth-at-12": (
        "Our epsilon .5 and 2 beside pac-synth's 12",
        (
            ("peers.py", *_ALL_DATA, "--epsilon", "12", "--ours-at", "0.5", "--peer", "pac-synth"),
            ("peers.py", "--data", "generated-2000x12", "--epsilon", "12", "--ours-at", "2", "--peer", "pac-synth"),
        ),
    ),
    "mst-aim": (
        "Beside pac-synth, MST and AIM, on the same people, 300 CPU seconds each",
        (("peers.py", *_ALL_DATA, "--epsilon", "1", "--epsilon", "4", "--plot", "docs/benchmarks-peers.svg"),),
    ),
    "intervals": ("How often intervals hold the true number", (("intervals.py", "--runs", "20"),)),
    "optimal": (
        "Our error beside an optimal unbiased mechanism's, inside subgroups, and of named tables",
        (("optimal.py", "--runs", "3"),),
    ),
    "scale": ("From ten thousand to ten million people", (("scale.py", "--full"),)),
    "feasibility": ("What `casehaven plan` expects, beside what releases were", (("feasibility.py",),)),
    "attacks": (
        "Attacks on releases, and on files that must fail",
        (("attacks.py", "--by", "ours"), ("attacks.py", "--by", "membership")),
    ),
    "anonymeter": ("The same attacks by anonymeter", (("attacks.py", "--by", "anonymeter", "--people", "10000"),)),
    "vault": ("The vault, beside plain SQLite and plain Parquet", (("vault.py", "--full"),)),
    "queries": ("Questions and answers, beside the Context of OpenDP", (("queries.py",), ("questions_by_model.py",))),
    "service": ("A service under load: 50 researchers and 5 uploads for 5 minutes", (("service.py",),)),
    "ledger": ("Charges, beside the bare database's commits on the same disk", (("ledger.py",),)),
    "kmode": ("The k-synthetic mode, which is not differentially private", (("kmode.py", "--full"),)),
    "intake": ("Intake: a Kobo export, read, mapped and checked", (("intake.py", "--seal"),)),
    "readers": ("Reading files from outside", (("readers.py", "--full"), ("readers.py", "--hostile"))),
    "generate": ("The generator", (("generate.py", "--full"),)),
}
"""Name of a section: its title, and the scripts with their arguments."""

INTRODUCTION = """# Benchmarks

Made by `make bench`. These machines are shared and noisy: compare rows of one run, not of different days.
F is the distance between two independent samples of the generator's population of the same size, measured in the same run; TV is the
mean total variation distance of all marginals of that length; rel is the mean relative error of counts of 10 and more; supp the share
of such counts that the records lack; fab the share of combinations shown with 10 and more that nobody has. Records are compared, over
the union of combinations; value lists are public. Intervals are those of `aggregates.csv`; the worst bucket is over lengths 1 to 3 and
published estimates 10-50, 50-200, 200-1000, 1000+ with at least 50 cells.
"""


def main() -> None:
    """Run the sections asked for; the others keep what they say."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", action="append", choices=sorted(RUNS), help="run only this section")
    for name in parser.parse_args().only or list(RUNS):
        title, commands = RUNS[name]
        parts = [f"## {title}\n", f"<!-- section {name} -->\n", f"{_machine()}\n"]
        for command in commands:
            line = f"python benchmarks/{' '.join(command)}"
            print(f"$ {line}", flush=True)
            script = [sys.executable, str(ROOT / "benchmarks" / command[0]), *command[1:]]
            done = subprocess.run(script, check=False, stdout=subprocess.PIPE, text=True, cwd=ROOT)
            print(done.stdout, flush=True)
            if done.returncode:
                sys.exit(f"{line} ended with exit code {done.returncode}; section {name} keeps what it said")
            parts.append(f"`{line}`\n\n{done.stdout.strip()}\n")
        kept = _sections(PAGE.read_text(encoding="utf-8")) if PAGE.exists() else {}  # now, not before a run of an hour
        kept[name] = "\n".join(parts)
        order = [*RUNS, *(other for other in kept if other not in RUNS)]
        text = "\n".join([INTRODUCTION, *(kept[name] for name in order if name in kept)])
        PAGE.write_text(text.rstrip("\n") + "\n", encoding="utf-8")


def _machine() -> str:
    """Return what the numbers depend on beside the code: the machine, how busy it is, and versions."""
    versions = ", ".join(f"{name} {version(name)}" for name in ("numpy", "opendp", "pandas", "pyarrow"))
    return (
        f"{datetime.now(UTC).date().isoformat()}, {_processor()}, {os.cpu_count()} cores, load before the run {os.getloadavg()[0]:.1f}, "
        f"Python {platform.python_version()}, {versions}"
    )


def _processor() -> str:
    described = Path("/proc/cpuinfo")
    lines = described.read_text(encoding="utf-8").splitlines() if described.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _sections(text: str) -> dict[str, str]:
    """Return the sections that the page has, by name."""
    found = {}
    for part in text.split("\n## ")[1:]:
        body = "## " + part
        mark = "<!-- section "
        if mark in body:
            found[body.split(mark)[1].split(" -->")[0]] = body.rstrip("\n") + "\n"
    return found


if __name__ == "__main__":
    main()
