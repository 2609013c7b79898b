"""Runs the attackers of anonymeter in their own environment: CSV in, risks as JSON on standard output.

Started by benchmarks/attacks.py with the interpreter of that environment; it imports nothing of ours.
"""

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from anonymeter.evaluators import InferenceEvaluator, LinkabilityEvaluator, SinglingOutEvaluator


def main() -> None:
    """Attack once: `real.csv synthetic.csv control.csv task.json`."""
    real, synthetic, control = (pd.read_csv(path, dtype=str, keep_default_na=False) for path in sys.argv[1:4])
    task = json.loads(Path(sys.argv[4]).read_text(encoding="utf-8"))
    attacks = min(task["attacks"], len(real), len(control))
    np.random.seed(task["seed"])
    found = []
    for width in task["widths"]:
        singling = SinglingOutEvaluator(
            ori=real, syn=synthetic, control=control, n_attacks=task["queries"], n_cols=width
        )
        try:
            singling.evaluate(mode="multivariate")
        except RuntimeError:  # too few combinations that single out
            continue
        found.append(_said("singling out", f"{width} values", singling))
    linking = LinkabilityEvaluator(
        ori=real, syn=synthetic, control=control, n_attacks=attacks, aux_cols=tuple(task["halves"]), n_neighbors=1
    )
    linking.evaluate(n_jobs=1)
    found.append(_said("linkability", "", linking))
    for secret in task["secrets"]:
        known = [name for name in real.columns if name != secret]
        inferring = InferenceEvaluator(
            ori=real, syn=synthetic, control=control, aux_cols=known, secret=secret, n_attacks=attacks
        )
        inferring.evaluate(n_jobs=1)
        found.append(_said("inference", secret, inferring))
    print(json.dumps(found))


def _said(attack: str, about: str, evaluator: object) -> dict[str, object]:
    results = evaluator.results(confidence_level=0.95)
    risk = evaluator.risk(confidence_level=0.95)
    return {
        "attack": attack,
        "about": about,
        "attacks": int(results.n_attacks_ori),
        "real": float(results.attack_rate.value),
        "control": float(results.control_rate.value),
        "risk": float(risk.value),
        "low": float(risk.ci[0]),
        "high": float(risk.ci[1]),
    }


if __name__ == "__main__":
    main()
