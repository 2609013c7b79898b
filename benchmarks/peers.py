"""Peers on the same people, at the same privacy loss, judged by the same code, in the same run as ours.

Each peer lives in an environment of its own below .cache/peers, installed from the versions that its list in benchmarks/peers names; it gets
the coded people, the public value lists, epsilon, delta and the rho that ours spends. One that does not install, fails, or does not finish
is said to be left out. The limit is on CPU seconds of all its threads, so that busy neighbours do not decide who finishes; a run also
ends after four times as long by the clock.

    python benchmarks/peers.py --data generated-50000 --epsilon 1 --limit 300
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import platform
import signal
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from engine import codes_of, known_of, people_of

from casesynth.domain import Domain
from casesynth.encode import Codes
from casesynth.evaluation.private import tables, utility
from casesynth.privacy.accounting import rho_for
from casesynth.privacy.loss import NANO

ROOT = Path(__file__).resolve().parents[1]
CACHE = ROOT / ".cache" / "peers"
HERE = Path(__file__).resolve().parent / "peers"

PATIENCE = 4
"""A run ends after so many times the limit by the clock, whatever CPU it got."""


@dataclass(frozen=True, kw_only=True)
class Peer:
    """How one peer is run."""

    script: str
    """Name of the script that runs it, and of the list of versions that it needs: both in benchmarks/peers."""
    algorithm: str = ""
    """Which of the script's algorithms."""


PEERS = {
    "pac-synth": Peer(script="pac_synth"),
    "MST (OpenDP)": Peer(script="opendp_mbi", algorithm="mst"),
    "AIM (OpenDP)": Peer(script="opendp_mbi", algorithm="aim"),
    "AIM, few rounds (dpmm)": Peer(script="dpmm_aim"),
}


class LeftOut(Exception):
    """Why a peer has no numbers."""


def environment(script: str) -> Path:
    """Return the interpreter of a peer's environment, installing it when it is not there."""
    pinned = HERE / f"{script}.txt"
    version = platform.python_version()
    digest = hashlib.sha256(pinned.read_bytes()).hexdigest()[:12]
    folder = CACHE / f"{script}-{version}-{digest}"
    python = folder / "bin" / "python"
    if not (folder / "installed").exists():
        try:
            venv.create(folder, with_pip=True, clear=True)
        except subprocess.CalledProcessError:
            raise LeftOut("no environment can be made here: Python's venv or ensurepip is missing") from None
        options = ["--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary=:all:"]
        command = [python, "-m", "pip", "install", *options, "--requirement", pinned]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            print(done.stderr, file=sys.stderr)
            raise LeftOut(f"benchmarks/peers/{pinned.name} does not install with Python {version} here")
        (folder / "installed").touch()
    return python


def run_within(command: list[Path | str], *, cpu: float, clock: float) -> str:
    """Return what a command prints on standard output.

    Raises:
        LeftOut: it failed, or was not finished within so many CPU seconds, or so many seconds by the clock.
    """
    limited = ["sh", "-c", f'ulimit -S -t {math.ceil(cpu)} && exec "$@"', "sh", *command]
    try:
        done = subprocess.run(limited, capture_output=True, text=True, timeout=clock, check=False)
    except subprocess.TimeoutExpired:
        raise LeftOut(f"not finished in {clock:.0f} s by the clock") from None
    if done.returncode == -signal.SIGXCPU:
        raise LeftOut(f"not finished in {cpu:.0f} CPU s")
    if done.returncode:
        print(done.stderr, file=sys.stderr)
        raise LeftOut(f"failed with exit code {done.returncode}")
    return done.stdout


def shown_to_peers(codes: tuple[Codes, ...], domain: Domain) -> pd.DataFrame:
    """Return coded people as a peer gets them: one text column per column of the domain, its first value as an empty cell."""
    return pd.DataFrame(
        {
            column.name: np.array(["", *column.values[1:]], dtype=object)[code]
            for column, code in zip(domain.columns, codes, strict=True)
        }
    )


def codes_from_peers(records: pd.DataFrame, domain: Domain) -> tuple[Codes, ...]:
    """Return a peer's records as codes.

    Raises:
        LeftOut: it made a value that no list names.
    """
    found = []
    for column in domain.columns:
        places = pd.Index(["", *column.values[1:]]).get_indexer(records[column.name])
        if (places < 0).any():
            raise LeftOut(f"made a value outside the list of {column.name}")
        found.append(places.astype(np.uint16))
    return tuple(found)


def peer_records(
    name: str, codes: tuple[Codes, ...], domain: Domain, epsilon: float, limit: float
) -> tuple[tuple[Codes, ...], dict[str, float]]:
    """Return a peer's synthetic records as codes, and its cost."""
    peer = PEERS[name]
    python = environment(peer.script)
    source, target, task = CACHE / "people.csv", CACHE / "records.csv", CACHE / "task.json"
    target.unlink(missing_ok=True)
    shown_to_peers(codes, domain).to_csv(source, index=False)
    people = len(codes[0])
    delta = 1 / (people * math.log(people))
    facts = {
        "algorithm": peer.algorithm,
        "epsilon": epsilon,
        "delta": delta,
        "rho": rho_for(epsilon, delta) / NANO,
        "values": {column.name: column.values[1:] for column in domain.columns},
    }
    task.write_text(json.dumps(facts), encoding="utf-8")
    command = [python, "-I", HERE / f"{peer.script}.py", source, target, task]
    printed = run_within(command, cpu=limit, clock=PATIENCE * limit)
    cost: dict[str, float] = json.loads(printed.splitlines()[-1])
    return codes_from_peers(pd.read_csv(target, dtype=str, keep_default_na=False), domain), cost


def our_records(data: str, domain: Domain, epsilon: float) -> tuple[tuple[Codes, ...], dict[str, float]]:
    """Return our synthetic records as codes, and their cost, from a process of its own."""
    out = CACHE / "ours"
    subprocess.run(
        [sys.executable, ROOT / "benchmarks" / "engine.py", "--child", data, str(epsilon), "0", str(out)], check=True
    )
    cost: dict[str, float] = json.loads((out / "cost.json").read_text())
    return codes_of(pd.read_parquet(out / "records.parquet"), domain), cost


def independent_records(codes: tuple[Codes, ...]) -> tuple[Codes, ...]:
    """Return records with every column shuffled by itself, without any noise: what an engine must beat."""
    order = np.random.Generator(np.random.PCG64(1))
    return tuple(order.permutation(column) for column in codes)


def main() -> None:
    """Run ours and every peer on the same people and print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", action="append")
    parser.add_argument("--epsilon", action="append", type=float)
    parser.add_argument("--peer", action="append", choices=sorted(PEERS), help="only these beside ours")
    parser.add_argument("--limit", type=float, default=300.0, help="CPU seconds for one run of a peer")
    options = parser.parse_args()
    CACHE.mkdir(parents=True, exist_ok=True)
    head = [
        "data",
        "eps",
        "engine",
        "2-way TV",
        "3-way TV",
        "ours / theirs, 3-way",
        "rel, 3-way",
        "supp",
        "fab>=10",
        "CPU s",
        "theirs / ours, CPU",
        "MB",
        "rows/n",
    ]
    print("| " + " | ".join(head) + " |\n|" + "---|" * len(head))
    for data in options.data or ["generated-50000", "adult", "complaints"]:
        frame, domain = people_of(data, seed=1)
        codes, known = codes_of(frame, domain), known_of(domain)
        real = {length: tables(codes, domain.sizes, length) for length in (2, 3)}
        for epsilon in options.epsilon or [1.0, 4.0]:
            ours, our_cpu = 0.0, 1.0
            for name in ("ours", "independence, no noise", *(options.peer or PEERS)):
                try:
                    if name == "ours":
                        made, cost = our_records(data, domain, epsilon)
                    elif name in PEERS:
                        made, cost = peer_records(name, codes, domain, epsilon, options.limit)
                    else:
                        made, cost = independent_records(codes), {"cpu": 0.0, "peak_mb": 0.0}
                except LeftOut as why:
                    print(f"| {data} | {epsilon:g} | {name} | {why} |" + " |" * (len(head) - 4), flush=True)
                    continue
                two, three = (utility(real[n], tables(made, domain.sizes, n), known) for n in (2, 3))
                if name == "ours":
                    ours, our_cpu = three.total_variation, cost["cpu"]
                cells = [
                    data, f"{epsilon:g}", name, f"{two.total_variation:.4f}", f"{three.total_variation:.4f}",
                    f"{ours / three.total_variation:.3f}", f"{three.relative_error:.3f}", f"{three.suppressed:.1%}",
                    f"{three.fabricated_shown:.2%}", f"{cost['cpu']:.1f}", f"{cost['cpu'] / our_cpu:.1f}", f"{cost['peak_mb']:.0f}", f"{len(made[0]) / len(frame):.3f}",
                ]  # fmt: skip
                print("| " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
