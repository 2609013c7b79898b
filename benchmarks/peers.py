"""Peers on the same people, at the same privacy loss, judged by the same code, in the same run as ours.

Each peer lives in an environment of its own below .cache/peers, installed by name and version; one that does not install, or does not
finish within the limit, is said to be left out.

    python benchmarks/peers.py --data generated-50000 --epsilon 1 --limit 300
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import venv
from pathlib import Path

import numpy as np
import pandas as pd
from engine import codes_of, known_of, people_of

from casesynth.domain import Domain
from casesynth.evaluation.private import tables, utility

ROOT = Path(__file__).resolve().parents[1]
CACHE = ROOT / ".cache" / "peers"
PEERS = {"pac-synth": ("pac-synth==0.0.8", "pac_synth.py")}
"""Name: what is installed, and the script that runs it."""


class LeftOut(Exception):
    """Why a peer has no numbers."""


def environment(requirement: str) -> Path:
    """Return the interpreter of a peer's environment, installing it when it is not there."""
    folder = CACHE / requirement.replace("==", "-")
    python = folder / "bin" / "python"
    if not (folder / "installed").exists():
        venv.create(folder, with_pip=True, clear=True)
        done = subprocess.run(
            [python, "-m", "pip", "install", "--quiet", requirement], capture_output=True, check=False
        )
        if done.returncode:
            raise LeftOut(f"{requirement} does not install here")
        (folder / "installed").touch()
    return python


def peer_records(name: str, frame: pd.DataFrame, epsilon: float, limit: float) -> tuple[pd.DataFrame, dict[str, float]]:
    """Return a peer's synthetic records and its cost."""
    requirement, script = PEERS[name]
    python = environment(requirement)
    source, target = CACHE / "people.csv", CACHE / "records.csv"
    frame.to_csv(source, index=False)
    command = [python, ROOT / "benchmarks" / "peers" / script, source, target, str(epsilon)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=limit, check=False)
    except subprocess.TimeoutExpired:
        raise LeftOut(f"not finished in {limit:.0f} s") from None
    if done.returncode:
        raise LeftOut(f"failed with exit code {done.returncode}")
    cost: dict[str, float] = json.loads(done.stdout)
    return pd.read_csv(target, dtype=str, keep_default_na=False), cost


def our_records(data: str, epsilon: float) -> tuple[pd.DataFrame, dict[str, float]]:
    """Return our synthetic records and their cost, from a process of its own."""
    out = CACHE / "ours"
    subprocess.run(
        [sys.executable, ROOT / "benchmarks" / "engine.py", "--child", data, str(epsilon), "0", str(out)], check=True
    )
    cost: dict[str, float] = json.loads((out / "cost.json").read_text())
    return pd.read_parquet(out / "records.parquet"), cost


def independent_records(frame: pd.DataFrame, domain: Domain) -> pd.DataFrame:
    """Return records with every column shuffled by itself, without any noise: what an engine must beat."""
    order = np.random.Generator(np.random.PCG64(1))
    return pd.DataFrame(
        {a.name: frame[a.name].astype(str).to_numpy()[order.permutation(len(frame))] for a in domain.attributes}
    )


def main() -> None:
    """Run ours and every peer on the same people and print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", action="append")
    parser.add_argument("--epsilon", action="append", type=float)
    parser.add_argument("--limit", type=float, default=300.0, help="seconds for one run of a peer")
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
        "MB",
        "rows/n",
    ]
    print("| " + " | ".join(head) + " |\n|" + "---|" * len(head))
    for data in options.data or ["generated-50000", "adult", "complaints"]:
        frame, domain = people_of(data, seed=1)
        codes, known = codes_of(frame, domain), known_of(domain)
        real = {length: tables(codes, domain.sizes, length) for length in (2, 3)}
        for epsilon in options.epsilon or [1.0, 4.0]:
            ours = 0.0
            for name in ("ours", "independence, no noise", *PEERS):
                try:
                    if name == "ours":
                        records, cost = our_records(data, epsilon)
                    elif name in PEERS:
                        records, cost = peer_records(name, frame, epsilon, options.limit)
                    else:
                        records, cost = independent_records(frame, domain), {"cpu": 0.0, "peak_mb": 0.0}
                except LeftOut as why:
                    print(f"| {data} | {epsilon:g} | {name} | {why} |" + " |" * (len(head) - 4), flush=True)
                    continue
                made = codes_of(records, domain)
                two, three = (utility(real[n], tables(made, domain.sizes, n), known) for n in (2, 3))
                ours = three.total_variation if name == "ours" else ours
                cells = [
                    data, f"{epsilon:g}", name, f"{two.total_variation:.4f}", f"{three.total_variation:.4f}",
                    f"{ours / three.total_variation:.3f}", f"{three.relative_error:.3f}", f"{three.suppressed:.1%}",
                    f"{three.fabricated_shown:.2%}", f"{cost['cpu']:.1f}", f"{cost['peak_mb']:.0f}", f"{len(records) / len(frame):.3f}",
                ]  # fmt: skip
                print("| " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
