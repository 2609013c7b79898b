"""Runs AIM of dpmm 0.1.9 in its own environment: CSV in, CSV of synthetic records out, cost as JSON on standard output.

Started by benchmarks/peers.py with the interpreter of that environment; it imports nothing of ours. Value lists are given to the peer,
not read from the file. Settings are the peer's defaults (pairs only) but for the number of rounds: 2 for each column in place of 16, so
that Adult is done within the limit. dpmm wants to be told how many rows to make; it is told its own noisy number.
"""

import json
import resource
import sys
import time
from pathlib import Path

import pandas as pd
from dpmm.models.aim import AIMGM

ROUNDS = 2
"""Rounds for each column."""


def main() -> None:
    """Fit and sample once."""
    source, target, task = sys.argv[1], sys.argv[2], json.loads(Path(sys.argv[3]).read_text(encoding="utf-8"))
    lists = {name: ["", *values] for name, values in task["values"].items()}
    frame = pd.read_csv(source, dtype=str, keep_default_na=False)
    codes = pd.DataFrame({name: pd.Categorical(frame[name], categories=lists[name]).codes for name in frame})
    started, before = time.monotonic(), time.process_time()
    model = AIMGM(epsilon=task["epsilon"], delta=task["delta"], rounds=ROUNDS * len(lists), n_jobs=1)
    model.set_domain({name: len(values) for name, values in lists.items()})
    model.fit(codes.astype(int))
    made = model.generate(n_records=round(model.generator.model.total))
    cost = {
        "seconds": time.monotonic() - started,
        "cpu": time.process_time() - before,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "rows": len(made),
    }
    pd.DataFrame({name: pd.Series(values)[made[name]].to_numpy() for name, values in lists.items()}).to_csv(
        target, index=False
    )
    print(json.dumps(cost))


if __name__ == "__main__":
    main()
