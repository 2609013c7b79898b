"""IOM's templates of the Human Trafficking Case Data Standard 2.0, with the defects that they have.

1. A hidden row of field names stands over a row of labels. People see the labels and write under them: where the two disagree, the label is right. In the block of
   addresses the templates have them in different orders.
2. One field name is misspelt (`vic_TraffickinStatusDecisionMakingOrg`), one is absent (over "Reason for Outgoing Referral"). Both get the standard's name.
3. What the file has stays as a label of the column, unless it is the name of another field.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_FIELD = re.compile(r"(org|prs|vic|per|cas|hte|spl|con)_[A-Za-z_]+")
_LEAST = 5

FIELDS = {
    "Case Owner": "cas_CaseOwner",
    "Salutation": "prs_Salutation",
    "First Name": "prs_FirstName",
    "Second Name": "prs_SecondName",
    "Consent": "con_Consent",
    "Birthdate": "prs_Birthdate",
    "Gender": "prs_Gender",
    "Citizenship": "prs_Citizenship",
    "Title": "prs_Title",
    "Email": "prs_Email",
    "Home Phone": "prs_HomePhone",
    "Mobile Phone": "prs_MobilePhone",
    "Mailing Street": "prs_MailingStreet",
    "Mailing City": "prs_MailingCity",
    "Mailing State/Province": "prs_MailingState",
    "Mailing Zip/Postal Code": "prs_MailingPostalCode",
    "Mailing Country": "prs_MailingCountry",
    "Trafficking Status": "vic_TraffickingStatus",
    "Trafficking Status Decision Making Organization": "vic_TraffickingStatusDecisionMakingOrg",
    "Method of Recruitment": "vic_MethodOfRecruitment",
    "Location of Recruitment": "vic_LocationOfRecruitment",
    "Methods of Control": "vic_MethodsOfControl",
    "Type of Exploitation": "vic_TypeOfExploitation",
    "Forced Labour Industry": "vic_ForcedLabourIndustry",
    "Type of Sex Exploitation": "vic_TypeOfSexExploitation",
    "Location of Exploitation": "vic_LocationOfExploitation",
    "Status": "cas_Status",
    "Referring Organisation": "cas_ReferringOrganisation",
    "Incoming Referral Date": "cas_IncomingReferralDate",
    "Referring Primary Case Worker": "cas_ReferringPrimaryCaseWorker",
    "Reason for Incoming Referral": "cas_ReasonForIncomingReferral",
    "Incoming Referral Details": "cas_IncomingReferralDetails",
    "Referred Organisation": "cas_ReferredOrganisation",
    "Referred Primary Case Worker": "cas_ReferredPrimaryCaseWorker",
    "Reason for Outgoing Referral": "cas_ReasonForOutgoingReferral",
    "Outgoing Referral Date": "cas_OutgoingReferralDate",
    "Outgoing Referral Details": "cas_OutgoingReferralDetails",
    "Reason for Case Closure": "cas_ReasonForCaseClosure",
}
"""Label in the templates to field of the standard (IOM, HTCDS 2.0, CC BY 4.0)."""

MULTIPLE = frozenset(
    (
        *("vic_MethodOfRecruitment", "vic_MethodsOfControl", "vic_TypeOfExploitation"),
        *("vic_TypeOfSexExploitation", "vic_ForcedLabourIndustry", "prs_Citizenship"),
    )
)
"""Fields of which the template with macros takes several values in one cell."""

_STANDARD = frozenset(FIELDS.values())
_BY_LABEL = {label.lower(): name for label, name in FIELDS.items()}


@dataclass(frozen=True, kw_only=True)
class TemplateHeader:
    """What the header rows of a template say."""

    names: list[str]
    labels: list[tuple[str, ...]]
    rows: int
    """Header rows that were read."""


def is_template(names: Sequence[str], below: Sequence[str]) -> bool:
    """Tell whether the first rows are those of a template: field names over labels, or half of its labels alone."""
    fields = sum(1 for name in names if _FIELD.fullmatch(name))
    labels = sum(1 for name in names if name.lower() in _BY_LABEL)
    return (fields >= _LEAST and _labels(below)) or labels >= len(FIELDS) // 2


def _labels(below: Sequence[str]) -> bool:
    return sum(1 for label in below if label.lower() in _BY_LABEL) >= _LEAST


def named_by_label(names: Sequence[str], below: Sequence[str], notes: list[str]) -> TemplateHeader:
    """Return names by the visible labels, where there is a row of them."""
    if not _labels(below):
        return TemplateHeader(
            names=[_BY_LABEL.get(name.lower(), name) for name in names],
            labels=[(name,) if name.lower() in _BY_LABEL else () for name in names],
            rows=1,
        )
    width = max(len(names), len(below))
    found, labels, moved = [], [], []
    for position in range(width):
        name = names[position] if position < len(names) else ""
        label = below[position] if position < len(below) else ""
        right = _BY_LABEL.get(label.lower(), name or label)
        if name and right != name:
            moved.append(right)
        elif not name and right:
            notes.append(f"the field name over {label} is absent; it is {right}")
        found.append(right)
        kept = (label, name) if name not in _STANDARD else (label,)
        labels.append(tuple(dict.fromkeys(text for text in kept if text and text != right)))
    if moved:
        notes.append(
            f"field names and visible labels disagree; people write under labels, so these follow them: {', '.join(moved)}"
        )
    return TemplateHeader(names=found, labels=labels, rows=2)
