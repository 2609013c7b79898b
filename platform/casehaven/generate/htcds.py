"""The made-up world of the ``htcds-2.0`` schema: the people of ``ctdc-global``, written down as HTCDS has it.

1. Every person is a person of the ``ctdc-global`` world with the same seed. The mapping from HTCDS to CTDC is many to one, so each value that
   it would merge is drawn anew from the values that become it: a mapped file shows the ``ctdc-global`` people again, except for what HTCDS
   cannot say: months of trafficking, an intimate partner as recruiter, a second labour sector.
2. What CTDC does not have (trafficking status, who decided, method of recruitment, referrals, case status) is drawn from shares that were chosen by
   hand; they follow no published number.
3. Names, addresses, members of staff and free text are obviously made up and numbered. A birthdate is the first of January of a year that fits
   the age band, or empty.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations, product
from math import prod
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from casehaven.generate._ctdc_sources import CONTRIBUTORS
from casehaven.generate.countries import ALPHA3
from casehaven.generate.ctdc_global import AGE_BANDS, CtdcGlobalModel
from casehaven.generate.profiles import Birth, Profiles
from casehaven.generate.sampling import CategoryTable, Draws

__all__ = ["HtcdsModel"]

Codes = NDArray[Any]
Variants = tuple[tuple[str, float], ...]
"""What one yes of CTDC may be in HTCDS: codes with ``;`` between them, and weights."""

_YEARS = tuple(str(year) for year in range(2002, 2031))
_GENDERS = (
    "",
    "NonSpecifiedUnknown",
    "Feminine",
    "Masculine",
    "TransgenderFeminine",
    "TransgenderMasculine",
    "NonConforming",
)
_STATUSES = ("", "PossibleVictimOfTrafficking", "ActualVictimOfTrafficking", "NotAVictimOfTrafficking")
_DECIDERS = ("", "Police", "NGO", "CourtOrProsecution", "NonPoliceGovernmentalOrganization", "Other")
_RECRUITMENT = (
    "AtAPlaceOfBusiness", "AtAnEducationalInstitution", "AtWork", "ThroughOnlineSocialNetworks", "ThroughAnOnlineAdvertisement",
    "ThroughATelevisionAdvert", "ThroughANewspaperAdvert", "ThroughFamilyOrFamilyEvents", "ThroughFriendsOrSocialEvents", "Other",
)  # fmt: skip
_CONTROL_ORDER = (
    "PhysicalThreats", "ThreatsLawEnforcement", "ThreatensChildrenFamily", "DebtBondage", "FalsePromises", "PhysicalAbuse", "SexualAbuse",
    "TakesEarnings", "RestrictsFinancialAccess", "RestrictsMedicalCare", "WithholdsNecessities", "PsychologicalAbuse",
    "PsychoactiveSubstance", "ExcessiveWorkingHours", "WithholdsDocuments", "Other", "RestrictsMovement", "UsesChildren",
)  # fmt: skip
_CONTROL: Mapping[str, Variants] = MappingProxyType(
    {
        "meansDebtBondageEarnings": (("DebtBondage", 4), ("TakesEarnings", 4), ("DebtBondage;TakesEarnings", 2)),
        "meansThreats": (
            ("PhysicalThreats", 5), ("ThreatsLawEnforcement", 2), ("ThreatensChildrenFamily", 1.5),
            ("PhysicalThreats;ThreatensChildrenFamily", 1.2), ("UsesChildren", 0.3),
        ),
        "meansAbusePsyPhySex": (
            ("PsychologicalAbuse", 4), ("PhysicalAbuse", 1.5), ("SexualAbuse", 1), ("PsychologicalAbuse;PhysicalAbuse", 2.5),
            ("PhysicalAbuse;SexualAbuse", 1),
        ),
        "meansFalsePromises": (("FalsePromises", 1),),
        "meansDrugsAlcohol": (("PsychoactiveSubstance", 1),),
        "meansDenyBasicNeeds": (
            ("WithholdsNecessities", 3), ("RestrictsMovement", 4), ("RestrictsMedicalCare;WithholdsNecessities", 1),
            ("RestrictsFinancialAccess", 2),
        ),
        "meansExcessiveWorkHours": (("ExcessiveWorkingHours", 1),),
        "meansWithholdDocs": (("WithholdsDocuments", 1),),
    }
)  # fmt: skip
_EXPLOITATION_ORDER = (
    "ForcedLabour", "SexualExploitation", "ChildLabour", "ForcedMarriage", "Servitude", "ForcedMilitaryByNonStateActors", "OrganRemoval",
    "ForcedBegging", "ForcedAdoption", "Surrogacy", "Other",
)  # fmt: skip
_EXPLOITATION: Mapping[str, Variants] = MappingProxyType(
    {
        "isForcedLabour": (("ForcedLabour", 9.2), ("ChildLabour", 0.2), ("ForcedBegging", 0.4), ("ForcedLabour;ForcedBegging", 0.2)),
        "isSexualExploit": (("SexualExploitation", 1),),
        "isOtherExploit": (
            ("ForcedMarriage", 3), ("Servitude", 2.5), ("ForcedMilitaryByNonStateActors", 0.5), ("OrganRemoval", 0.3),
            ("ForcedAdoption", 0.1), ("Surrogacy", 0.1), ("Other", 3.5),
        ),
    }
)  # fmt: skip
_SEXUAL_ORDER = ("Prostitution", "Pornography", "RemoteInteractiveServices", "PrivateSexualServices")
_SECTORS: Mapping[str, str] = MappingProxyType(
    {
        "typeOfLabourAgriculture": "A_AgricultureForestryAndFishing",
        "typeOfLabourConstruction": "F_Construction",
        "typeOfLabourDomesticWork": "T_ActivitiesOfHouseholdsAsEmployers",
        "typeOfLabourHospitality": "I_AccommodationAndFoodServiceActivities",
    }
)
_INDUSTRIES: Mapping[str, float] = MappingProxyType(
    {
        "A_AgricultureForestryAndFishing": 0, "B_MiningAndQuarrying": 3, "C_Manufacturing": 30,
        "D_ElectricityGasSteamAndAirConditioningSupply": 0.3, "E_WaterSupplySewerageWasteManagement": 2, "F_Construction": 0,
        "G_WholesaleAndRetailTradeRepairOfMotorVehicles": 14, "H_TransportationAndStorage": 9,
        "I_AccommodationAndFoodServiceActivities": 0, "J_InformationAndCommunication": 0.5, "K_FinancialAndInsuranceActivities": 0.2,
        "L_RealEstateActivities": 0.2, "M_ProfessionalScientificAndTechnicalActivities": 0.3,
        "N_AdministrativeAndSupportServiceActivities": 12, "O_PublicAdministrationAndDefence": 0.2, "P_Education": 0.5,
        "Q_HumanHealthAndSocialWorkActivities": 4, "R_ArtsEntertainmentAndRecreation": 5, "S_OtherServiceActivities": 16,
        "T_ActivitiesOfHouseholdsAsEmployers": 0, "U_ActivitiesOfExtraterritorialOrganizations": 0.1,
    }
)  # fmt: skip
_RELATIONS = ("", "Familial", "Acquainted", "Unaquainted")
_CASE_STATUSES = ("", "Active", "FollowUp", "Closed", "ClosedReferred")
_REASONS = ("", "AdditionalServicesRequired", "MigrationOrChangeOfLocation", "Other")
_OTHER_INDUSTRY_TOLD = 0.35
_NO_VICTIM = 0.02
_MADE_UP: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "prs_Salutation": ("Example salutation ", ""), "prs_FirstName": ("Example first name ", ""),
        "prs_SecondName": ("Example second name ", ""), "prs_Title": ("Example title ", ""),
        "prs_Email": ("example-person-", "@example.org"), "prs_HomePhone": ("example phone ", ""),
        "prs_MobilePhone": ("example mobile ", ""), "prs_MailingCity": ("Example city ", ""),
        "prs_MailingCountry": ("Example country ", ""), "prs_MailingState": ("Example state ", ""),
        "prs_MailingStreet": ("Example street ", ""), "prs_MailingPostalCode": ("EX-", ""),
        "vic_LocationOfRecruitment": ("Example place ", ""), "vic_LocationOfExploitation": ("Example place ", ""),
        "cas_ReasonForCaseClosure": ("Made-up reason for case ", ""), "cas_CaseOwner": ("Example case worker ", ""),
        "cas_ReferringOrganisation": ("Example organisation ", ""), "cas_ReferringPrimaryCaseWorker": ("Example case worker ", ""),
        "cas_IncomingReferralDetails": ("Made-up details of case ", ""), "cas_ReferredOrganisation": ("Example organisation ", ""),
        "cas_ReferredPrimaryCaseWorker": ("Example case worker ", ""), "cas_OutgoingReferralDetails": ("Made-up details of case ", ""),
    }
)  # fmt: skip


class _Combined:
    """Cells that join one variant of each of several yes-or-no columns; position 0 is the empty cell."""

    def __init__(self, variants: Sequence[Variants], order: Sequence[str]) -> None:
        self._sizes = tuple(len(one) + 1 for one in variants)
        self._tables = [CategoryTable([[weight for _, weight in one]]) for one in variants]
        choices = [("", *(codes for codes, _ in one)) for one in variants]
        self.texts = tuple(_joined(";".join(filter(None, parts)), order) for parts in product(*choices))
        assert len(self.texts) == prod(self._sizes)

    def pick(self, draws: Draws, flags: Sequence[Codes]) -> Codes:
        """Return the position of each person's cell: a variant where the flag is yes, nothing where it is not."""
        found = np.zeros(len(flags[0]), np.int32)
        for size, table, flag in zip(self._sizes, self._tables, flags, strict=True):
            variant = table.pick(np.zeros(len(flag), np.intp), draws.uniform()).astype(np.int32) + 1
            found = found * size + variant * (flag > 0)
        return found.astype(np.int16)


def _joined(text: str, order: Sequence[str]) -> str:
    return ";".join(sorted(filter(None, text.split(";")), key=order.index))


def _recruitment_weights() -> NDArray[np.float64]:
    """Return weights of no answer, one method and pairs of methods, shape (kind of exploitation, relation, cell)."""
    # sexual, labour, other or not known; the methods in their order
    singles = np.array(
        [
            [0.6, 0.5, 0.5, 3.0, 2.0, 0.05, 0.2, 1.5, 2.5, 1.5],
            [1.5, 0.3, 2.5, 1.2, 2.5, 0.2, 0.8, 1.5, 2.0, 2.0],
            [1.0] * 10,
        ]
    )
    # no relation, familial, acquainted, unacquainted: family events, friends, advertisements
    relation = np.ones((4, 10))
    relation[1, 7], relation[2, 8], relation[3, 3:7] = 12.0, 6.0, 2.0
    weights = singles[:, None, :] * relation[None, :, :]
    weights /= weights.sum(axis=-1, keepdims=True)
    pairs = np.stack([weights[..., i] * weights[..., j] for i, j in combinations(range(10), 2)], axis=-1)
    unanswered = np.broadcast_to(np.array([1.9, 0.4, 0.6, 0.5])[None, :, None], (3, 4, 1))
    return np.concatenate([unanswered, weights, 0.8 * pairs], axis=-1)


class HtcdsModel:
    """Profiles of the ``htcds-2.0`` schema."""

    def __init__(self) -> None:
        """Build the tables, those of the ``ctdc-global`` world included."""
        self._people = CtdcGlobalModel()
        self.contributors = self._people.contributors
        self.ageing: Mapping[str, tuple[int, ...]] = {"ageAtRegistration": self._people.ageing["ageBroad"]}
        self.births: Mapping[str, Birth] = {"prs_Birthdate": Birth(age="ageAtRegistration", at="yearOfRegistration")}
        self.made_up = _MADE_UP
        self._control = _Combined([*_CONTROL.values(), (("Other", 1),)], _CONTROL_ORDER)
        self._exploitation = _Combined([*_EXPLOITATION.values()], _EXPLOITATION_ORDER)
        self._sexual = _Combined([((code, 1.0),) for code in _SEXUAL_ORDER], _SEXUAL_ORDER)
        self._recruitment = CategoryTable(_recruitment_weights())
        self._industry = CategoryTable([list(_INDUSTRIES.values())])
        self._trans = CategoryTable([[0.6, 0.15, 0.25]])
        self._status = CategoryTable([[0.07, 0.25, 0.68]])
        self._decider = CategoryTable([[0.1, 0.3, 0.35, 0.05, 0.1, 0.1], [0.06, 0.18, 0.5, 0.07, 0.14, 0.05]])
        self._case_status = CategoryTable([[0.05, 0.05, 0.1, 0.6, 0.2], [0.05, 0.35, 0.25, 0.25, 0.1]])
        self._reason = CategoryTable([[0.15, 0.5, 0.15, 0.2]])
        self._kind = np.array([one.kind for one in CONTRIBUTORS], np.intp)
        pairs = tuple(";".join(pair) for pair in combinations(_RECRUITMENT, 2))
        self.values: Mapping[str, tuple[str, ...]] = {
            "yearOfRegistration": ("", *_YEARS),
            "prs_Gender": _GENDERS,
            "ageAtRegistration": ("", *AGE_BANDS),
            "prs_Citizenship": ("", *ALPHA3),
            "countryOfExploitation": ("", *ALPHA3),
            "vic_TraffickingStatus": _STATUSES,
            "vic_TraffickingStatusDecisionMakingOrg": _DECIDERS,
            "vic_MethodOfRecruitment": ("", *_RECRUITMENT, *pairs),
            "vic_MethodsOfControl": self._control.texts,
            "vic_TypeOfExploitation": self._exploitation.texts,
            "vic_ForcedLabourIndustry": ("", *_INDUSTRIES),
            "vic_TypeOfSexExploitation": self._sexual.texts,
            "vic_RelationshipToTrafficker": _RELATIONS,
            "cas_Status": _CASE_STATUSES,
            "cas_IncomingReferralDate": ("", *_YEARS),
            "cas_ReasonForIncomingReferral": _REASONS,
            "cas_ReasonForOutgoingReferral": _REASONS,
            "cas_OutgoingReferralDate": ("", *_YEARS),
        }

    def profiles(self, *, seed: int, chunk: int, people: int) -> Profiles:
        """Return the first ``people`` people of a chunk; the same for the same seed and chunk."""
        base = self._people.profiles(seed=seed, chunk=chunk, people=people)
        draws = Draws(seed, chunk, 2, people=people)
        told = base.codes
        nothing = np.zeros(people, np.intp)
        relation = _first_of([told[f"recruiterRelation{name}"] for name in ("Family", "Friend", "Other")])
        sectors = [1 + [*_INDUSTRIES].index(code) for code in _SECTORS.values()]
        industry = _first_of([told[name] for name in _SECTORS], sectors)
        other = 1 + self._industry.pick(nothing, draws.uniform()).astype(np.int16)
        untold = (told["isForcedLabour"] > 0) & (industry == 0) & (draws.uniform() < _OTHER_INDUSTRY_TOLD)
        sexual = told["isSexualExploit"] > 0
        kind = np.where(sexual, 0, np.where(told["isForcedLabour"] > 0, 1, 2))
        status = self._status.pick(nothing, draws.uniform())
        means = [told[name] for name in _CONTROL]
        unclear = ~np.logical_or.reduce([flag > 0 for flag in (*means, *(told[name] for name in _EXPLOITATION))])
        status = np.where(unclear & (draws.uniform() < _NO_VICTIM), 3, status)
        decider = self._decider.pick(self._kind[base.home], draws.uniform()) * (status > 0)
        year = told["yearOfRegistration"].astype(np.int16)
        incoming, outgoing = self._referrals(draws, year)
        codes: dict[str, Codes] = {
            "yearOfRegistration": year.astype(np.uint8),
            "prs_Gender": self._gender(draws, told["gender"]),
            "ageAtRegistration": told["ageBroad"],
            "prs_Citizenship": told["citizenship"],
            "countryOfExploitation": told["CountryOfExploitation"],
            "vic_TraffickingStatus": status.astype(np.uint8),
            "vic_TraffickingStatusDecisionMakingOrg": decider.astype(np.uint8),
            "vic_MethodOfRecruitment": self._recruitment.pick(kind * 4 + relation, draws.uniform()),
            "vic_MethodsOfControl": self._control.pick(draws, [*means, draws.uniform() < 0.02]),
            "vic_TypeOfExploitation": self._exploitation.pick(draws, [told[name] for name in _EXPLOITATION]),
            "vic_ForcedLabourIndustry": np.where(untold, other, industry).astype(np.uint8),
            "vic_TypeOfSexExploitation": self._sexual.pick(
                draws,
                [
                    told["typeOfSexProstitution"],
                    told["typeOfSexPornography"],
                    sexual & (draws.uniform() < 0.05),
                    sexual & (draws.uniform() < 0.04),
                ],
            ),
            "vic_RelationshipToTrafficker": relation.astype(np.uint8),
            "cas_Status": self._case_status.pick((year > 17).astype(np.intp), draws.uniform()),
            "cas_IncomingReferralDate": incoming,
            "cas_ReasonForIncomingReferral": self._reason.pick(nothing, draws.uniform()) * (incoming > 0),
            "cas_ReasonForOutgoingReferral": self._reason.pick(nothing, draws.uniform()) * (outgoing > 0),
            "cas_OutgoingReferralDate": outgoing,
        }
        return Profiles(codes=codes, home=base.home, elsewhere=base.elsewhere)

    def _gender(self, draws: Draws, told: Codes) -> Codes:
        trans = 4 + self._trans.pick(np.zeros(len(told), np.intp), draws.uniform())
        unsaid = draws.uniform() < 0.4
        return np.where(told == 1, 3, np.where(told == 2, 2, np.where(told == 3, trans, unsaid))).astype(np.uint8)

    @staticmethod
    def _referrals(draws: Draws, year: Codes) -> tuple[Codes, Codes]:
        """Return years of the incoming referral (this year or the one before) and the outgoing one (up to two years later)."""
        before = (draws.uniform() < 0.2) & (year > 1)
        incoming = np.where((year > 0) & (draws.uniform() < 0.45), year - before, 0)
        after = np.floor(draws.uniform() ** 2 * 3).astype(np.int16)
        outgoing = np.where((year > 0) & (draws.uniform() < 0.3), year + after, 0)
        return incoming.astype(np.uint8), outgoing.astype(np.uint8)


def _first_of(flags: Sequence[Codes], codes: Sequence[int] | None = None) -> Codes:
    """Return the code of the first flag that is yes, 0 where none is."""
    found = np.zeros(len(flags[0]), np.int16)
    for code, flag in reversed(list(zip(codes or range(1, len(flags) + 1), flags, strict=True))):
        found = np.where(flag > 0, np.int16(code), found)
    return found
