"""How the header of a column is recognised: one normal form, parts of it, and the words that many organisations use.

1. Two headers are the same when their letters and digits are: case, accents, punctuation, underscores, camel case and space make no difference.
2. A tool's group path is no part of a name: `intake/person/sex` and `intake-person-sex` may mean `sex`.
3. A header that is the same as an attribute's name or label, or as a misspelling in a published template, is an exact match. Every other likeness is a guess,
   and says why.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from caseschemas import CaseSchema
from caseschemas.words import normal

MISSPELT: Final = {"victraffickinstatusdecisionmakingorg": "victraffickingstatusdecisionmakingorg"}
"""Field names as published templates write them wrongly, in compact form, and what is meant."""

CONCEPTS: Final[dict[str, str]] = {
    "sex": "gender, sex, sexe, genre, sexo, género, الجنس, النوع, النوع الاجتماعي, sex of victim, sexe de la victime",
    "age": "age, âge, edad, العمر, السن, age in years, age at registration, age at intake, âge à l'enregistrement, ageyears, age broad",
    "birth": "birthdate, date of birth, birth date, dob, birthday, born, date de naissance, né le, ddn, naissance, fecha de nacimiento, nacimiento, "
    "تاريخ الميلاد, تاريخ الولادة",
    "citizenship": "citizenship, nationality, nationalité, pays de nationalité, nacionalidad, ciudadanía, الجنسية, country of origin, pays d'origine, país de origen, "
    "country of citizenship",
    "exploited in": "country of exploitation, pays d'exploitation, país de explotación, بلد الاستغلال, exploitation country, country where exploited, destination country, "
    "pays de destination, país de destino",
    "registered": "registration date, date of registration, registered, date registered, year of registration, registration year, intake date, date of intake, admission date, date "
    "of admission, date d'enregistrement, date d'inscription, date d'admission, année d'enregistrement, fecha de registro, fecha de ingreso, año de registro, تاريخ التسجيل, "
    "سنة التسجيل, case opened, created at, created date, date ouverture",
    "submitted": "submission time, _submission_time, submission date, submissiondate, incoming referral date, cas_IncomingReferralDate",
    "person": "person token, person id, personid, beneficiary id, id bénéficiaire, client id, victim id, individual id, id beneficiario, code bénéficiaire, numéro de "
    "bénéficiaire, n° bénéficiaire, unique id, رقم المستفيد, رمز الشخص, person code, unhcr id, beneficiary code",
    "case": "case reference, case id, caseid, case number, case no, id cas, numéro de dossier, n° dossier, dossier, número de caso, caso, رقم الحالة, رقم الملف, short id, "
    "file number, case_id_display, case code, record id",
    "recruitment": "method of recruitment, recruitment method, how recruited, mode de recrutement, recrutement, método de captación, captación, طريقة التجنيد",
    "control": "methods of control, means of control, control, moyens de contrôle, medios de control, métodos de control, وسائل السيطرة",
    "exploitation": "type of exploitation, exploitation type, form of exploitation, forms of exploitation, exploitation, type d'exploitation, formes d'exploitation, forme "
    "d'exploitation, tipo de explotación, forma de explotación, نوع الاستغلال, شكل الاستغلال",
    "sexual": "type of sexual exploitation, sexual exploitation type, type of sex exploitation, type d'exploitation sexuelle, tipo de explotación sexual",
    "industry": "forced labour industry, industry, sector, labour sector, secteur, secteur d'activité, sector laboral, industria, قطاع العمل, forced labor industry, type of labour",
    "status": "trafficking status, victim status, identification status, statut de la victime, statut, situación de la víctima, حالة الاتجار, victim of trafficking",
    "consent": "consent, consentement, consentimiento, الموافقة, consent given, informed consent, consentement éclairé, consentimiento informado",
    "relation": "relationship to trafficker, relation to trafficker, lien avec le trafiquant, relación con el tratante, relationship to recruiter, العلاقة بالمتاجر",
    "case status": "case status, statut du dossier, état du dossier, estado del caso, حالة الملف",
    "duration": "duration, duration of exploitation, months of trafficking, durée, durée de la traite, duración, مدة الاتجار, months of exploitation, durée en mois",
    "first name": "first name, given name, prénom, prénoms, nombre, nombres, الاسم الأول, الاسم, name, full name, nom complet, nombre completo, اسم",
    "second name": "second name, last name, surname, family name, nom, nom de famille, apellido, apellidos, اللقب, اسم العائلة",
    "phone": "phone, telephone, mobile, mobile phone, téléphone, portable, teléfono, móvil, الهاتف, phone number, numéro de téléphone",
    "email": "email, e-mail, courriel, correo electrónico, البريد الإلكتروني",
    "notes": "notes, note, remarks, comments, commentaires, observations, observaciones, ملاحظات, narrative, récit, description",
}
"""Words that mean the same, in the languages of the shipped schemas. A likeness through them is a guess."""

_ARABIC: Final = str.maketrans({"أ": "ا", "إ": "ا", "آ": "ا", "ى": "ي", "ة": "ه", "ـ": ""})
_CAMEL: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_SMALL: Final = frozenset(
    [
        "of",
        "the",
        "a",
        "an",
        "to",
        "at",
        "in",
        "de",
        "la",
        "le",
        "les",
        "du",
        "des",
        "d",
        "l",
        "del",
        "el",
        "los",
        "las",
        "a",
        "y",
        "et",
        "and",
        "s",
    ]
)


@lru_cache(maxsize=65536)
def words(text: str) -> str:
    """Return the words of a header in normal form, a space between them.

    >>> words("ageAtRegistration"), words("Âge  à l\u2019enregistrement"), words("vic_Methods_of_Control")
    ('age at registration', 'age a l enregistrement', 'vic methods of control')
    """
    parted = normal(_CAMEL.sub(" ", text)).translate(_ARABIC)
    letters = (letter for letter in unicodedata.normalize("NFKD", parted) if not _accent(letter))
    return " ".join("".join(letter if _of_word(letter) else " " for letter in letters).split())


def _accent(letter: str) -> bool:
    """Whether a mark only decorates its letter: of the scripts before the Indian ones. In those a mark is a vowel."""
    return unicodedata.combining(letter) != 0 and (ord(letter) < 0x0900 or 0x1AB0 <= ord(letter) <= 0x20FF)


def _of_word(letter: str) -> bool:
    return letter.isalnum() or unicodedata.category(letter).startswith("M")


@lru_cache(maxsize=65536)
def compact(text: str) -> str:
    """Return a header's letters and digits alone, in normal form: two headers of the same form are one word (rule 1).

    >>> compact("prs_First_Name ") == compact("prs_FirstName"), compact("vic_TraffickinStatusDecisionMakingOrg")[:21]
    (True, 'victraffickingstatusd')
    """
    form = words(text).replace(" ", "")
    return MISSPELT.get(form, form)


def schema_names(schema: CaseSchema) -> tuple[str, ...]:
    """Return the names, labels and synonyms of a schema's attributes: columns that bear one fill it by themselves."""
    return tuple(
        dict.fromkeys(
            text for one in schema.attributes for text in (one.name, *one.labels.values(), *one.synonyms) if text
        )
    )


def tails(name: str) -> tuple[str, ...]:
    """Return what a name may be without its group path and without the suffix of a custom field, longest first (rule 2); not the name itself.

    >>> tails("intake/person/sex"), tails("grp-person-sex"), tails("Sex__c"), tails("Name")
    (('person/sex', 'sex'), ('person-sex', 'sex'), ('Sex',), ())
    """
    if name.endswith(("__c", "__pc")):
        return (name.rpartition("__")[0],)
    for mark in ("/", "::", "-", "."):
        if mark in name:
            parts = name.split(mark)
            return tuple(mark.join(parts[start:]) for start in range(1, len(parts)) if any(parts[start:]))
    return ()


_CONCEPT_OF: Final[dict[str, str]] = {
    compact(word): concept for concept, listed in CONCEPTS.items() for word in listed.split(",")
}


def concept(texts: Iterable[str]) -> str | None:
    """Return what a header is about, by its whole text; None where nothing is known.

    >>> concept(["Nationalité"]), concept(["Fecha de nacimiento"]), concept(["shoe size"])
    ('citizenship', 'birth', None)
    """
    for text in texts:
        found = _CONCEPT_OF.get(compact(text))
        if found is not None:
            return found
    return None


@lru_cache(maxsize=65536)
def _telling(text: str) -> frozenset[str]:
    return frozenset(word for word in words(text).split() if word not in _SMALL)


def likeness(one: str, other: str) -> float:
    """Return the share of telling words that two headers have in common, 0 to 1."""
    left, right = _telling(one), _telling(other)
    return len(left & right) / len(left | right) if left and right else 0.0


def misspelt(one: str, other: str) -> bool:
    """Whether two headers differ by one letter, or two neighbours changed places; of five letters or more.

    >>> misspelt("Citizenshp", "citizenship"), misspelt("age", "ages")
    (True, False)
    """
    left, right = sorted((compact(one), compact(other)), key=len)
    if len(left) < 5 or len(right) - len(left) > 1 or left == right:
        return False
    start = next((place for place, (a, b) in enumerate(zip(left, right, strict=False)) if a != b), len(left))
    rest, other_rest = left[start:], right[start:]
    if len(left) < len(right):
        return rest == other_rest[1:]
    return rest[1:] == other_rest[1:] or (rest[:2] == other_rest[:2][::-1] and rest[2:] == other_rest[2:])
