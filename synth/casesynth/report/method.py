"""How a release was made, step by step, in words that need no other reading."""

from __future__ import annotations

from casesynth.folds import stored_folds
from casesynth.notes import ReleaseNotes
from casesynth.report.words import counted, short, whole
from casesynth.synthesis import Synthesis


def method_steps(synthesis: Synthesis, notes: ReleaseNotes) -> tuple[str, ...]:
    """Return the steps of the method for this release."""
    plan = synthesis.plan
    kinds = {length: sum(len(table.clique) == length for table in plan.tables) for length in (1, 2, 3)}
    nouns = {
        1: ("single column", "single columns"),
        2: ("pair of columns", "pairs of columns"),
        3: ("triple", "triples"),
    }
    named = [counted(kinds[length], *nouns[length]) for length in kinds if kinds[length]]
    tables = ", ".join(["the number of people", *named] if any(not table.clique for table in plan.tables) else named)
    signs = (
        " A column with two values took no room in them: people with its first value were added, people with its second taken away."
        if 2 in plan.domain.sizes
        else ""
    )
    folds = stored_folds(synthesis.measurements, plan.domain.sizes)
    together = [column.name for column, fold in zip(plan.domain.columns, folds, strict=True) if fold.folded]
    folded = (
        " In tables of several columns, values that nobody seems to have, by the noisy counts of single columns, were counted "
        f"together ({counted(len(together), 'column')})."
        if together
        else ""
    )
    if any(fold.small for fold in folds):
        folded += " In tables of three columns, so were values that few seem to have."
    left_out = (
        f" The budget was too small for {counted(plan.triples_left_out, 'triple')} more."
        if plan.triples_left_out
        else ""
    )
    sharper = (
        f" {plan.table_share:.0%} of the budget made these tables sharper: {'; '.join(', '.join(table) for table in plan.named)}."
        if plan.named
        else ""
    )
    cells = sum(m.values.size for m in synthesis.measurements)
    scales = [table.scale for table in plan.tables]
    return (
        (
            f"The value lists were fixed beforehand from public sources ({plan.domain.source}): "
            f"{counted(len(plan.domain.attributes), 'attribute')}, coded as "
            f"{counted(len(plan.domain.columns), 'column')}. Nothing about them depends on the records."
        ),
        _merging(notes),
        f"A plan was made from public facts: {tables}.{sharper}{left_out} Its cost was charged to the ledger before a cell of a record became a number.",
        (
            f"The tables were counted.{signs}{folded} Each of the {whole(cells)} cells got its own random noise of scale "
            f"{short(min(scales))} to {short(max(scales))} people. From here on no real record was used."
        ),
        (
            f"A latent class model with {counted(len(synthesis.model.weights), 'class', 'classes')} was fitted to the "
            "noisy tables. Inside a class the columns do not depend on each other; together the classes describe how "
            "values go together."
        ),
        (
            "The aggregates were read from the model. Their intervals come from repeating measurement and fit on "
            "invented people, widened by what the model was seen to miss."
        ),
        (
            "The synthetic records were drawn from the model. Every later random choice starts from a hash of the "
            "noisy tables, so anyone who has them can repeat every step."
        ),
    )


def _merging(notes: ReleaseNotes) -> str:
    if notes.unit == "record":
        return "Each record was counted as one person, so that one record changes one cell of any table by one."
    return (
        f"All records of one {notes.unit} were merged into one profile, so that one {notes.unit} changes one cell of any "
        "table by one."
    )
