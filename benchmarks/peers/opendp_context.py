"""One table by two columns of public keys, at one rho, by the Context of OpenDP over Polars: `opendp_context.py TASK` prints what each ask took, as JSON.

TASK is a JSON file: `people` (Parquet, one row per person), `keys` (Parquet, every combination), `by`, `rho`, `runs`. The context is made once and paid for all runs.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path

import opendp.prelude as dp
import polars as pl

dp.enable_features("contrib")

task = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
keys = pl.scan_parquet(task["keys"])
context = dp.Context.compositor(
    data=pl.scan_parquet(task["people"]),
    privacy_unit=dp.unit_of(contributions=1),
    privacy_loss=dp.loss_of(rho=task["rho"] * task["runs"]),
    split_evenly_over=task["runs"],
)
seconds, cells, errors = [], 0, []
truth = pl.read_parquet(task["people"]).group_by(task["by"]).len("exact")
for _ in range(task["runs"]):
    started = time.perf_counter()
    released = context.query().group_by(*task["by"]).agg(dp.len()).with_keys(keys).release().collect()
    seconds.append(time.perf_counter() - started)
    cells = released.height
    together = released.join(truth, on=task["by"], how="left").fill_null(0)
    together = together.filter(pl.col("exact") >= 100)  # smaller counts are cut at zero
    gap = together["len"].cast(pl.Int64) - together["exact"].cast(pl.Int64)
    errors.append(float((gap.cast(pl.Float64) ** 2).mean()) ** 0.5)
used = resource.getrusage(resource.RUSAGE_SELF)
print(
    json.dumps(
        {
            "seconds": seconds,
            "cells": cells,
            "error": sum(errors) / len(errors),
            "cpu": (used.ru_utime + used.ru_stime) / task["runs"],
            "mb": used.ru_maxrss / 1024,
        }
    )
)
