"""Runs pac-synth 0.0.8 in its own environment: CSV in, CSV of synthetic records out, cost as JSON on standard output.

Started by benchmarks/peers.py with the interpreter of that environment; it imports nothing of ours.
"""

import csv
import json
import resource
import sys
import time
from pathlib import Path

from pacsynth import Dataset, DpAggregateSeededParametersBuilder, DpAggregateSeededSynthesizer


def main() -> None:
    """Fit and sample once, with the peer's defaults at reporting length 3."""
    source, target, task = sys.argv[1], sys.argv[2], json.loads(Path(sys.argv[3]).read_text(encoding="utf-8"))
    with open(source, newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    started, before = time.monotonic(), time.process_time()
    parameters = DpAggregateSeededParametersBuilder().reporting_length(3).epsilon(task["epsilon"]).build()
    synthesizer = DpAggregateSeededSynthesizer(parameters)
    synthesizer.fit(Dataset(rows))
    made = synthesizer.sample()
    cost = {
        "seconds": time.monotonic() - started,
        "cpu": time.process_time() - before,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "rows": len(made) - 1,
    }
    with open(target, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(made)
    print(json.dumps(cost))


if __name__ == "__main__":
    main()
