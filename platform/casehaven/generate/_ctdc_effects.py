"""Effects of the made-up ``ctdc-global`` world, on the logit scale.

The levels that these effects are added to are in ``levels.py``, solved so that the shares of field guide section 4 come out; the
effects themselves were chosen by hand and are what makes columns depend on each other inside one source.

Axes: kind of source (hotline, assistance); kind of exploitation (sexual, labour, both, other); gender (man, woman, trans); age class
(minor, 18-26, 27 and over); destination group of ``countries.destination_group``; origin group of ``countries.origin_group``.
"""

from __future__ import annotations

import numpy as np

__all__ = [
    "AGE_MAN", "AGE_TYPE", "AGE_YEAR", "DURATION_LEVEL", "DURATION_SEVERITY", "GAP_CARE", "GAP_DURATION_SEVERITY", "GAP_MEANS_SEVERITY",
    "GAP_MEANS_TYPE", "GAP_MINOR", "GAP_NO_TYPE", "GAP_USA_CITIZEN", "GAP_YEAR", "MAN_ORIGIN", "MEANS", "MEANS_AGE",
    "MEANS_CHAIN", "MEANS_DESTINATION", "MEANS_GENDER", "MEANS_SECTOR", "MEANS_SEVERITY", "MEANS_STYLE", "MEANS_YEAR",
    "PORNOGRAPHY_LEVEL", "PROSTITUTION_LEVEL", "RECRUITERS", "RECRUITER_AGE", "RECRUITER_CHAIN", "RECRUITER_GENDER",
    "RECRUITER_INTERNAL", "RECRUITER_SEVERITY", "SECOND_SECTOR", "SECTORS", "SECTOR_DESTINATION", "SECTOR_LEVEL", "SECTOR_MAN",
    "SECTOR_ORIGIN", "SECTOR_RUSSIA_MAN", "TRANS_LEVEL", "TYPE_ORIGIN",
]  # fmt: skip

# ---- exploitation: effect of the origin group on labour (against sexual), per kind of source
TYPE_ORIGIN = np.array([[-0.75, 1.3, 0.5, 1.6, 1.2, 0.4, 0.3], [-0.5, -0.1, 0.1, 0.2, 0.2, 0.0, -0.4]])

# ---- gender: effect of the origin group on being a man (labour only); level of trans against woman, per kind of exploitation
MAN_ORIGIN = np.array([-0.2, 0.4, 0.5, -0.5, 0.4, 0.0, 0.1])
TRANS_LEVEL = np.array([-5.5, -6.3, -5.0, -6.0])

# ---- age: effect per band (counted from the middle band) of the kind of exploitation, of men, of each year from 2015
AGE_TYPE = np.array([-0.16, 0.16, -0.05, -0.1])
AGE_MAN = 0.06
AGE_YEAR = 0.006

# ---- labour sectors: primary sector, the last one stands for all sectors that the schema does not list
SECTORS = ("Agriculture", "Construction", "DomesticWork", "Hospitality")
SECTOR_LEVEL = np.array([[-0.6, -1.5, 0.3, -0.5, 0.4], [-0.4, 0.0, 0.3, -1.2, 0.6]])
SECTOR_MAN = np.array([0.5, 1.9, -2.2, -0.2, 0.2])
SECTOR_DESTINATION = np.array(
    [
        [0.2, -0.2, 0.2, 0.3, 0.0],
        [-0.3, 0.7, -1.1, 0.0, 0.4],
        [0.4, 0.1, 0.1, 0.2, 0.2],
        [-1.2, 0.2, 1.8, 0.0, -0.4],
        [0.2, 0.1, 0.2, 0.3, 0.6],
        [0.3, -0.4, 0.3, 0.0, 0.2],
    ]
)
SECTOR_RUSSIA_MAN = np.array([-0.2, 1.2, -0.5, -0.3, 0.0])
SECTOR_ORIGIN = np.array(
    [
        [0.0, 0.0, -0.2, 0.0, 0.6],
        [0.9, 0.4, 0.0, 0.2, 0.0],
        [0.0, 0.3, -0.4, 0.0, 0.2],
        [-0.2, 0.0, 0.7, 0.2, 0.0],
        [-0.2, 0.3, 0.2, 0.4, 0.2],
        [0.2, -0.4, 0.8, -0.1, -0.2],
        [0.0, 0.0, 0.0, 0.2, 0.2],
    ]
)
# share of people in one sector (row) who also worked in another (column)
SECOND_SECTOR = np.array(
    [
        [0.0, 0.05, 0.03, 0.02],
        [0.06, 0.0, 0.01, 0.02],
        [0.05, 0.01, 0.0, 0.07],
        [0.02, 0.02, 0.06, 0.0],
        [0.01, 0.02, 0.03, 0.02],
    ]
)

# ---- sexual exploitation: level per kind of source and age class; pornography is more frequent where prostitution is not known
PROSTITUTION_LEVEL = np.array([[1.0, 1.5, 1.3], [2.0, 2.6, 2.4]])
PORNOGRAPHY_LEVEL = np.array([[-1.1, -2.0, -2.4], [-3.2, -3.8, -4.2]])

# ---- means of control, in the schema's order
MEANS = (
    "DebtBondageEarnings", "Threats", "AbusePsyPhySex", "FalsePromises", "DrugsAlcohol", "DenyBasicNeeds", "ExcessiveWorkHours",
    "WithholdDocs",
)  # fmt: skip
MEANS_SEVERITY = np.array([0.45, 0.8, 0.75, 0.15, 0.4, 0.9, 0.5, 0.45])
MEANS_GENDER = np.array(
    [[0.15, 0.1, -0.4, 0.15, 0.1, 0.0, 0.1, 0.15], [0.0] * 8, [-0.1, 0.1, 0.2, -0.2, 0.3, -0.1, -0.2, -0.2]]
)
MEANS_AGE = np.array(
    [[-0.5, -0.2, 0.1, -0.4, 0.3, 0.2, -0.3, -0.9], [0.0] * 8, [0.3, 0.15, -0.05, 0.2, 0.0, 0.0, 0.15, 0.35]]
)
MEANS_DESTINATION = np.array(
    [
        [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
        [0.3, -0.1, -0.2, 0.3, -0.3, 0.0, 0.2, 0.3],
        [0.2, 0.2, 0.1, 0.1, 0.1, -0.2, 0.0, 0.0],
        [-0.2, 0.1, 0.3, -0.1, -1.0, 0.4, 0.6, 0.8],
        [0.2, 0.0, 0.0, 0.2, -0.1, -0.1, 0.1, 0.0],
        [-0.3, 0.0, 0.1, -0.2, 0.1, 0.1, -0.2, -0.5],
    ]
)
# primary sector (agriculture, construction, domestic work, hospitality, other or none)
MEANS_SECTOR = np.array(
    [
        [0.3, 0.1, -0.2, 0.2, 0.1, 0.1, 0.2, 0.1],
        [0.4, 0.1, -0.3, 0.4, 0.1, -0.1, 0.1, 0.1],
        [-0.2, 0.1, 0.4, -0.1, -0.5, 0.5, 0.5, 0.4],
        [0.2, 0.0, 0.0, 0.1, 0.0, -0.2, 0.4, 0.0],
        [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
    ]
)
# effect of an earlier mean (row) on a later one (column), beyond severity
MEANS_CHAIN = np.array(
    [
        [0.0, 0.3, 0.0, 0.5, 0.0, 0.2, 0.5, 0.6],
        [0.0, 0.0, 0.7, -0.1, 0.1, 0.3, 0.0, 0.3],
        [0.0, 0.0, 0.0, -0.4, 0.7, 0.4, -0.2, 0.0],
        [0.0, 0.0, 0.0, 0.0, -0.2, 0.1, 0.5, 0.5],
        [0.0, 0.0, 0.0, 0.0, 0.0, 0.2, -0.5, -0.3],
        [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.6, 0.3],
        [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.5],
        [0.0] * 8,
    ]
)
# what a contributor's form asks about: one row per contributor
MEANS_STYLE = np.array(
    [
        [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
        [-0.3, 0.1, 0.2, -0.4, 0.1, -0.2, -0.4, -0.5],
        [0.2, 0.1, 0.1, 0.6, -0.2, 0.2, 0.4, 0.5],
        [0.1, -0.2, -0.1, 0.2, -0.4, 0.1, 0.2, 0.2],
        [0.3, -0.1, -0.3, 0.1, -0.8, -0.3, 0.2, 0.1],
        [0.2, 0.2, 0.2, 0.2, -0.2, 0.1, 0.2, -0.2],
        [-0.4, 0.3, 0.4, -0.1, 0.4, 0.2, -0.6, -0.6],
        [-0.3, 0.0, 0.3, -0.4, -0.6, 0.4, 0.3, 0.3],
        [0.2, 0.5, 0.4, -0.5, 0.8, -0.4, -0.5, 0.0],
        [0.1, 0.3, 0.1, 0.2, 0.7, -0.2, 0.0, -0.2],
        [-1.0, 0.1, 0.5, -0.3, 0.3, 0.6, 0.2, -1.2],
        [-0.3, 0.0, 0.3, -0.3, -1.5, 0.5, 0.7, 0.9],
    ]
)
MEANS_YEAR = np.array([0.02, 0.01, 0.0, -0.03, 0.02, 0.0, 0.02, -0.03])

# ---- recruiter relation: partner, friend, family, other; drawn in the order other, family, partner, friend
RECRUITERS = ("IntimatePartner", "Friend", "Family", "Other")
RECRUITER_GENDER = np.array([[-1.3, 0.1, -0.2, 0.3], [0.0] * 4, [-0.3, 0.3, 0.0, 0.0]])
RECRUITER_AGE = np.array([[-0.5, 0.1, 1.6, -0.5], [0.2, 0.1, -0.2, 0.0], [0.0, -0.1, -0.8, 0.2]])
RECRUITER_INTERNAL = np.array([0.2, 0.0, 0.5, -0.3])
RECRUITER_SEVERITY = np.array([0.5, 0.0, 0.3, -0.1])
# effect of an earlier relation (row) on a later one (column)
RECRUITER_CHAIN = np.array([[0.0, -1.6, 0.0, 0.0], [0.0] * 4, [-2.4, -1.8, 0.0, 0.0], [-2.0, -1.4, -2.0, 0.0]])

# ---- duration: 0-12, 13-24, 25 months and over, per kind of exploitation; effect of severity per band
DURATION_LEVEL = np.array([[1.0, 0.0, 0.2], [1.8, 0.0, -0.4], [0.7, 0.0, 0.5], [0.6, 0.0, 0.4]])
DURATION_SEVERITY = np.array([-0.35, 0.0, 0.35])

# ---- empty cells, in the order of GAPS: less care leaves more of them empty together
GAP_CARE = np.array([-0.6, -0.55, -0.8, -0.9, -0.5, -0.5, -0.45, -0.5, -0.3, -0.3])
GAP_MINOR = np.array([-0.2, -0.8, 0.1, 0.0, 0.0, -0.1, 0.1, -0.2, 0.0, -0.2])
GAP_YEAR = np.array([-0.03, 0.04, -0.02, 0.0, 0.05, 0.02, 0.03, 0.02, -0.02, 0.0])
GAP_NO_TYPE = np.array([0.6, 0.4, 0.3, 0.3, 0.8, 0.0, 2.4, 1.4, 0.0, 0.0])
GAP_MEANS_TYPE = np.array([0.0, -1.5, -1.1, 0.4])
GAP_MEANS_SEVERITY = -0.4
GAP_DURATION_SEVERITY = -0.25
GAP_USA_CITIZEN = 2.35
