"""Peers on the same people, at the same privacy loss, judged by the same code, in the same run as ours.

Each peer lives in an environment of its own below .cache/peers, installed from the versions that its list in benchmarks/peers names; it gets
the coded people, the public value lists, epsilon, delta and the rho that ours spends. One that does not install, fails, or does not finish
is said to be left out. Ours and a peer whose first run took less than `AGAIN` CPU seconds run three times; each line says of how many runs its numbers are
the mean. The limit is on CPU seconds of all its threads, so that busy neighbours do not decide who finishes; a run also
ends after four times as long by the clock. A row that was measured with the same code and versions is not measured again, so a run that was stopped
goes on where it was.

    python benchmarks/peers.py --data generated-50000 --epsilon 1 --limit 300
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from draw import Line, chart
from engine import MEASURES, codes_of, engine_row, exact_tables, mean_of, people_of, scores_of
from environments import NotInstalled, environment
from rows import NotMeasuredError, engine_digest, kept_row, sources_digest

from casesynth.codes import Codes
from casesynth.domain import Domain
from casesynth.privacy.accounting import rho_for
from casesynth.privacy.loss import NANO

ROOT = Path(__file__).resolve().parents[1]
CACHE = ROOT / ".cache" / "peers"
HERE = Path(__file__).resolve().parent / "peers"

AGAIN = 150.0
"""A peer whose first run took less CPU seconds than this runs as often as ours."""

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


def interpreter_of(peer: Peer) -> Path:
    """Return the interpreter of a peer's environment, installing it when it is not there.

    Raises:
        LeftOut: it cannot be installed here.
    """
    try:
        return environment(HERE / f"{peer.script}.txt", CACHE)
    except NotInstalled as why:
        raise LeftOut(str(why)) from None


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
    python = interpreter_of(peer)
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


def independent_records(codes: tuple[Codes, ...]) -> tuple[Codes, ...]:
    """Return records with every column shuffled by itself, without any noise: what an engine must beat."""
    order = np.random.Generator(np.random.PCG64(1))
    return tuple(order.permutation(column) for column in codes)


ROWS_VERSION = 1
"""Raised when this file, or the people that it shows to peers, changes so that their rows must be measured again; they take up to five minutes each."""


def peer_row(
    name: str, data: str, epsilon: float, limit: float, run: int, *, fresh: bool = False, known_only: bool = False
) -> dict[str, Any]:
    """Return what one run of a peer scored and cost, or why it was left out.

    Raises:
        LeftOut: its environment does not install, which is not remembered.
        NotMeasuredError: only known rows are wanted, and this one is not known.
    """
    peer = PEERS[name]
    decides = sources_digest(
        [HERE / f"{peer.script}.py", HERE / f"{peer.script}.txt", *sorted((ROOT / "platform" / "casehaven" / "generate").glob("*.py")),
         ROOT / "synth" / "casesynth" / "evaluation" / "private.py"]
    )  # fmt: skip

    def measure() -> dict[str, Any]:
        if known_only:
            raise NotMeasuredError("not measured")
        interpreter_of(peer)
        real, domain, _ = exact_tables(data)
        codes = codes_of(people_of(data, seed=1)[0], domain)
        try:
            made, cost = peer_records(name, codes, domain, epsilon, limit)
        except LeftOut as why:
            return {"left_out": str(why)}
        return {**cost, "people": len(codes[0]), "rows": len(made[0]), "scores": scores_of(real, made, domain)}

    asked = {"what": "peer", "peer": name, "data": data, "epsilon": epsilon, "limit": limit, "version": ROWS_VERSION}
    asked |= {"run": run} if run else {}
    return kept_row(asked, f"{decides} {platform.python_version()}", measure, fresh=fresh)


def peer_rows(measure: Callable[[int], dict[str, Any]], runs: int) -> list[dict[str, Any]]:
    """Return the rows of a peer's runs: more than one where the first took less than `AGAIN` CPU seconds, and those that finished.

    Args:
        measure: returns the row of a run.
        runs: how many are wanted.
    """
    rows = [measure(0)]
    if "left_out" in rows[0] or rows[0]["cpu"] >= AGAIN:
        return rows
    for run in range(1, runs):
        try:
            row = measure(run)
        except NotMeasuredError:
            continue
        if "left_out" not in row:
            rows.append(row)
    return rows


def shuffled_row(data: str) -> dict[str, Any]:
    """Return what records score that have every column right and nothing else."""

    def measure() -> dict[str, Any]:
        real, domain, people = exact_tables(data)
        made = independent_records(codes_of(people_of(data, seed=1)[0], domain))
        return {"cpu": 0.0, "peak_mb": 0.0, "people": people, "rows": people, "scores": scores_of(real, made, domain)}

    return kept_row({"what": "independence", "data": data}, engine_digest("engine.py"), measure)


HEAD = (
    "data", "eps", "engine", "runs", "2-way TV", "3-way TV", "ours / theirs, 3-way", "rel, 3-way", "supp", "fab>=10", "CPU s",
    "theirs / ours, CPU", "MB", "rows/n",
)  # fmt: skip
OURS = "ours"
SHUFFLED = "independence, no noise"


def _cells(rows: Sequence[dict[str, Any]], ours: tuple[float, float]) -> list[str]:
    """Return the numbers of an engine, means over its runs; `ours` is our 3-way distance and CPU seconds."""
    three = {name: mean_of(rows, 3, name) for name in MEASURES}
    cpu, peak, made = (float(np.mean([row[name] for row in rows])) for name in ("cpu", "peak_mb", "rows"))
    return [
        f"{len(rows)}", f"{mean_of(rows, 2, 'total_variation'):.4f}", f"{three['total_variation']:.4f}", f"{ours[0] / three['total_variation']:.3f}",
        f"{three['relative_error']:.3f}", f"{three['suppressed']:.1%}", f"{three['fabricated_shown']:.2%}", f"{cpu:.1f}",
        f"{cpu / ours[1]:.1f}", f"{peak:.0f}", f"{made / rows[0]['people']:.3f}",
    ]  # fmt: skip


def main() -> None:
    """Run ours and every peer on the same people and print one table; draw accuracy over CPU seconds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", action="append")
    parser.add_argument("--epsilon", action="append", type=float)
    parser.add_argument("--ours-at", type=float, help="epsilon of ours, where it is not the peers'")
    parser.add_argument("--peer", action="append", choices=sorted(PEERS), help="only these beside ours")
    parser.add_argument("--runs", type=int, default=3, help="of ours, and of a peer that takes little time")
    parser.add_argument("--limit", type=float, default=300.0, help="CPU seconds for one run of a peer")
    parser.add_argument("--fresh", action="store_true", help="measure the peers' rows again that are known")
    parser.add_argument(
        "--known-only", action="store_true", help="measure nothing; say of a row that it was not measured"
    )
    parser.add_argument("--plot", type=Path, help="draw 3-way distance over CPU seconds into this SVG file")
    options = parser.parse_args()
    CACHE.mkdir(parents=True, exist_ok=True)
    print("| " + " | ".join(HEAD) + " |\n|" + "---|" * len(HEAD))
    points: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for data in options.data or ["generated-50000", "adult", "complaints"]:
        for epsilon in options.epsilon or [1.0, 4.0]:
            at = options.ours_at or epsilon
            first, ours = [f"{data}", f"{epsilon:g}"], (math.nan, math.nan)
            for name in (OURS, SHUFFLED, *(options.peer or PEERS)):
                try:
                    if name == OURS:
                        runs = range(options.runs)
                        rows = [engine_row(data, at, run, known_only=options.known_only) for run in runs]
                        ours = (mean_of(rows, 3, "total_variation"), float(np.mean([row["cpu"] for row in rows])))
                    elif name == SHUFFLED:
                        rows = [shuffled_row(data)]
                    else:
                        once = partial(peer_row, name, data, epsilon, options.limit)
                        rows = peer_rows(
                            partial(once, fresh=options.fresh, known_only=options.known_only), options.runs
                        )
                    why = rows[0].get("left_out")
                except (LeftOut, NotMeasuredError) as fault:
                    rows, why = [], str(fault)
                label = f"{name}, eps {at:g}" if name == OURS and at != epsilon else name
                if why is not None:
                    print("| " + " | ".join([*first, label, why, *[""] * (len(HEAD) - 4)]) + " |", flush=True)
                    continue
                print("| " + " | ".join([*first, label, *_cells(rows, ours)]) + " |", flush=True)
                if name != SHUFFLED:
                    cost = float(np.mean([row["cpu"] for row in rows]))
                    points.setdefault((data, name), []).append((cost, mean_of(rows, 3, "total_variation")))
    if options.plot and points:
        _draw(points, options.plot)


def _draw(points: dict[tuple[str, str], list[tuple[float, float]]], path: Path) -> None:
    """Draw one chart: each engine a shape and colour, each dataset and epsilon a mark."""
    names = list(dict.fromkeys(name for _, name in points))
    lines = [
        Line(name=n, points=[p for (_, m), ps in points.items() if m == n for p in ps], joined=False) for n in names
    ]
    title = "3-way distance from the real tables, by CPU seconds (lower and further left is better)"
    path.write_text(chart(lines, title=title, x_name="CPU seconds", y_name="total variation"), encoding="utf-8")
    print(f"\n![{title}]({path.name})\n\nOne mark for each dataset and epsilon. A peer that did not finish has none.")


if __name__ == "__main__":
    main()
