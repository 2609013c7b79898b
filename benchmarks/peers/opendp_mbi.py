"""Runs MST or AIM of OpenDP 0.16.0 in its own environment: CSV in, CSV of synthetic records out, cost as JSON on standard output.

Started by benchmarks/peers.py with the interpreter of that environment; it imports nothing of ours. Value lists are given to the peer,
not read from the file; an empty cell is its null. Settings are the peer's defaults but for `method="sample"`: with `"round"`, the default,
mbi 1.1.0 ties the children of one parent to each other.
"""

import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

import opendp.prelude as dp
import polars as pl
from opendp.extras.mbi import AIM, MST, _mst

ALGORITHMS = {"mst": MST, "aim": AIM}

MARGIN = 1e-9
"""Share of the budget for selecting that MST leaves unspent."""


def leave_a_margin() -> None:
    """Let MST select with a hair less than it has set aside for that.

    It gives each of its choices an equal part; added up again with rounding upwards, the parts exceed the whole by a unit or more in the
    last place, and OpenDP's own check stops the run ("insufficient budget for query", OpenDP issue 2789). That check stays as it is.
    """
    select = _mst._make_mst_select

    def select_with_less(*given: Any, d_out: float, **named: Any) -> dp.Measurement:
        return select(*given, d_out=d_out * (1 - MARGIN), **named)

    _mst._make_mst_select = select_with_less


def main() -> None:
    """Fit and sample once."""
    source, target, task = sys.argv[1], sys.argv[2], json.loads(Path(sys.argv[3]).read_text(encoding="utf-8"))
    dp.enable_features("contrib")
    leave_a_margin()
    frame = pl.read_csv(source, infer_schema=False).lazy()
    started, before = time.monotonic(), time.process_time()
    context = dp.Context.compositor(
        data=frame,
        privacy_unit=dp.unit_of(contributions=1),
        privacy_loss=dp.loss_of(rho=task["rho"]),
        margins=[],
        split_evenly_over=1,
    )
    query = context.query().contingency_table(keys=task["values"], algorithm=ALGORITHMS[task["algorithm"]]())
    made = query.release().synthesize(method="sample")
    cost = {
        "seconds": time.monotonic() - started,
        "cpu": time.process_time() - before,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "rows": made.height,
    }
    made.write_csv(target)
    print(json.dumps(cost))


if __name__ == "__main__":
    main()
