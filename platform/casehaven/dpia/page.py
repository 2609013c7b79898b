"""The evidence as one page to read, print and annotate. It holds no number about people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from casehaven.dpia.flow_plot import flow_plot
from casehaven.dpia.flows import EVERYWHERE
from casesynth.report.document import document
from casesynth.report.markup import Html, join, table, tag
from casesynth.report.plots import figure


def evidence_page(found: Mapping[str, Any], annexes: Sequence[str] = ()) -> str:
    """Return the page.

    Args:
        found: `casehaven-dpia/1`.
        annexes: names of sealed files beside it.
    """
    parts = [
        tag("h1", "Evidence for an impact assessment"),
        tag("p", f"{found['made_on']}, {found['software']}, {found['format']}", class_="quiet"),
        tag(
            "section",
            tag(
                "p",
                "This page says what the software holds, where data goes, what was spent and how it is set. It is evidence: the assessment itself is written by people. "
                "It was made without opening a record, and says nothing about how many people there are.",
            ),
            class_="lead",
            aria_label="In short",
        ),
        tag("h2", "Inventory"),
        *(part for dataset in found["inventory"] for part in _dataset(dataset)),
        tag("h2", "Flows"),
        figure(
            "flows",
            flow_plot([(one["from"], one["to"]) for one in found["flows"] if one["from"] != EVERYWHERE]),
            table(
                "Each step: what passes, and who can read it there",
                ("from", "to", "data", "who can read it", "where this is specified"),
                [(one["from"], one["to"], one["data"], one["readers"], one["proof"]) for one in found["flows"]],
                words=(1, 2, 3, 4),
            ),
            "Where data goes, from left to right. Every step writes to the audit log.",
        ),
        tag("h2", "Ledger"),
        *_ledger(found["ledger"]),
        tag("h2", "Settings"),
        table(
            "How this installation is set",
            ("setting", "value", "what it means"),
            [(one["name"], one["value"], one["meaning"]) for one in found["settings"]],
            words=(1, 2),
        ),
        tag("h2", "Agreements"),
        *_agreements(found["agreements"]),
        tag("h2", "Duties"),
        table(
            "What the software does, and what is left for people to write",
            ("duty", "law", "what the software does", "left to you"),
            [(one["duty"], one["article"], one["provided"], one["left"]) for one in found["duties"]],
            words=(1, 2, 3),
        ),
        tag("h2", "What stays"),
        tag("ul", *(tag("li", sentence) for sentence in found["residual"])),
        tag("h2", "Private annex"),
        _annexes(annexes),
    ]
    return document("Evidence for an impact assessment", *parts)


def _dataset(dataset: Mapping[str, Any]) -> list[Html]:
    years = dataset["years_of_first_registration"]
    by_year = f"Budgets by year of {years}." if years is not None else "One budget for all years."
    return [
        tag("h3", dataset["dataset"], tag("code", dataset["schema"])),
        tag("p", f"At most {dataset['people_cap']:,} people, declared before the first record. {by_year}"),
        table(
            f"Attributes of {dataset['dataset']}",
            ("attribute", "name", "used for", "values", "where it stays"),
            [
                (one["label"], one["name"], one["role"], str(one["values"] or "-"), one["stays"])
                for one in dataset["attributes"]
            ],
            words=(1, 2, 4),
        ),
        table(
            f"Consent in {dataset['dataset']}",
            ("purpose", "what for", "column of the schema"),
            [
                (one["purpose"], one["means"], one["column"] or "recorded person by person")
                for one in dataset["consent"]
            ],
            words=(1, 2),
        ),
    ]


def _ledger(ledger: Mapping[str, Any]) -> list[Html]:
    policy, odometer = ledger["policy"], ledger["odometer"]
    worst = "unbounded" if odometer["unbounded"] else f"epsilon {odometer['epsilon_at_most']} at most"
    parts = [
        tag(
            "p",
            f"State before {ledger['before']}, in {ledger['steps']}ths of each budget. Policy: epsilon {policy['epsilon']}, delta {policy['delta']} for each account. "
            f"Over all datasets, one person in {odometer['tokens']} of them: {worst}.",
        )
    ]
    if ledger["accounts"]:
        accounts = [
            (
                one["dataset"],
                one["block"],
                one["epsilon_cap"],
                "unbounded" if one["epsilon_at_most"] is None else f"{one['epsilon_at_most']:g}",
                one["delta"],
            )
            for one in ledger["accounts"]
        ]
        names = ("dataset", "people registered in", "epsilon cap", "epsilon spent, at most", "delta")
        parts.append(table("Accounts", names, accounts, words=(1,)))
    else:
        parts.append(tag("p", "No account was opened before that day."))
    released = [
        (one["measurements_sha256"][:16], ", ".join(one["datasets"]), one["decision"], _private(one))
        for one in ledger["releases"]
    ]
    if released:
        heads = ("measurements", "datasets", "decision", "decided on private data")
        parts.append(table("Releases that were decided about", heads, released, words=(1, 2, 3)))
    if ledger["raises"]:
        raised = [
            (one["day"], one["dataset"] or "one person over all", one["epsilon"], one["reason"])
            for one in ledger["raises"]
        ]
        parts.append(table("Raises of a cap", ("day", "of", "to epsilon", "reason"), raised, words=(1, 3)))
    return parts


def _private(release: Mapping[str, Any]) -> str:
    return "yes: not covered by the guarantee" if release["decision_used_private_data"] else "no"


def _agreements(agreements: Sequence[Mapping[str, Any]] | None) -> list[Html]:
    if agreements is None:
        return [tag("p", "No service was named, so agreements were not looked at. Attach those that there are.")]
    if not agreements:
        return [tag("p", "No agreement is in force: nothing is pooled with other organisations.")]
    rows = [
        (
            one["title"],
            ", ".join(one["contributors"]),
            ", ".join(one["askers"]) or "-",
            ", ".join(one["purposes"]),
            f"{one['budget_nano_rho'] / 1e9:g}",
            one["expires"],
        )
        for one in agreements
    ]
    heads = ("agreement", "contributors", "who may ask", "purposes", "budget, rho", "last day")
    return [table("Agreements in force", heads, rows, words=(1, 2, 3, 5))]


def _annexes(names: Sequence[str]) -> Html:
    if not names:
        return tag(
            "p",
            "None was made. Attack results compare with real people: they are made for a release that is decided about, and sealed.",
        )
    listed = (tag("li", tag("code", name)) for name in names)
    return join(
        [tag("p", "Sealed, for the steward alone; each opens in a browser with its passphrase:"), tag("ul", *listed)]
    )
