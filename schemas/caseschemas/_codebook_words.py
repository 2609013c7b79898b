"""The words of a codebook in the languages of the shipped schemas. French, Spanish and Arabic are not reviewed."""

from __future__ import annotations

from collections.abc import Mapping

from caseschemas.labels import Labels


def _words(en: str, fr: str, es: str, ar: str) -> Labels:
    return Labels({"en": en, "fr": fr, "es": es, "ar": ar})


WORDS: Mapping[str, Labels] = {
    "schema": _words("Schema", "Schéma", "Esquema", "المخطط"),
    "version": _words("version", "version", "versión", "الإصدار"),
    "digest": _words("Digest (SHA-256)", "Empreinte (SHA-256)", "Huella (SHA-256)", "البصمة (SHA-256)"),
    "languages": _words("Languages", "Langues", "Idiomas", "اللغات"),
    "reviewed": _words("reviewed", "relu", "revisado", "مُراجَع"),
    "not reviewed": _words("not reviewed", "non relu", "sin revisar", "غير مُراجَع"),
    "person key": _words("Person key", "Clé de la personne", "Clave de la persona", "مفتاح الشخص"),
    "no person key": _words(
        "none; one row has to be declared one person",
        "aucune ; il faut déclarer qu’une ligne est une personne",
        "ninguna; hay que declarar que una fila es una persona",
        "لا يوجد؛ يجب التصريح بأن كل صف شخص واحد",
    ),
    "blocks": _words("Blocks", "Blocs", "Bloques", "الفئات الزمنية"),
    "year of first registration": _words(
        "year of first registration", "année du premier enregistrement", "año del primer registro", "سنة التسجيل الأول"
    ),
    "consent": _words("Consent", "Consentement", "Consentimiento", "الموافقة"),
    "none": _words("none", "aucun", "ninguno", "لا يوجد"),
    "care": _words("care", "prise en charge", "atención", "الرعاية"),
    "own_statistics": _words("own statistics", "statistiques propres", "estadísticas propias", "إحصاءات المنظمة"),
    "pooled_statistics": _words(
        "pooled statistics", "statistiques mises en commun", "estadísticas conjuntas", "الإحصاءات المشتركة"
    ),
    "synthetic_release": _words(
        "published synthetic data", "données synthétiques publiées", "datos sintéticos publicados", "البيانات الاصطناعية المنشورة"
    ),
    "leaves": _words("What leaves the vault", "Ce qui quitte le coffre", "Qué sale de la bóveda", "ما يخرج من الخزنة"),
    "attributes": _words("Attributes", "Attributs", "Atributos", "السمات"),
    "attribute": _words("Attribute", "Attribut", "Atributo", "السمة"),
    "label": _words("Label", "Libellé", "Etiqueta", "التسمية"),
    "kind": _words("Kind", "Type", "Tipo", "النوع"),
    "role": _words("Role", "Rôle", "Función", "الدور"),
    "values": _words("Values", "Valeurs", "Valores", "القيم"),
    "code": _words("Code", "Code", "Código", "الرمز"),
    "empty": _words("(empty cell)", "(cellule vide)", "(celda vacía)", "(خلية فارغة)"),
    "missing": _words("Missing", "Manquant", "Faltante", "مفقود"),
    "synonyms": _words("Also understood", "Aussi compris", "También se entiende", "يُفهم أيضًا"),
    "same list": _words("The list of values is the one of", "La liste de valeurs est celle de", "La lista de valores es la de", "قائمة القيم هي قائمة"),
    "merge": _words("Several records of one person", "Plusieurs dossiers d’une personne", "Varios registros de una persona", "عدة سجلات لشخص واحد"),
    "outside": _words(
        "A cell outside the list becomes", "Une cellule hors liste devient", "Una celda fuera de la lista pasa a ser", "الخلية خارج القائمة تصبح"
    ),
    "separators": _words("Between values of one cell", "Entre les valeurs d’une cellule", "Entre valores de una celda", "بين قيم الخلية الواحدة"),
    "groups": _words(
        "Groups: percent of those who answered", "Groupes : pour cent de ceux qui ont répondu", "Grupos: por ciento de quienes respondieron",
        "المجموعات: نسبة مئوية ممن أجابوا",
    ),
    "group": _words("Group", "Groupe", "Grupo", "المجموعة"),
    "members": _words("Members", "Membres", "Miembros", "الأعضاء"),
    "answered": _words("Who answered", "Qui a répondu", "Quién respondió", "من أجاب"),
    "any": _words("an answer in any member", "une réponse dans un membre", "una respuesta en algún miembro", "إجابة في أي عضو"),
    "all": _words("an answer in every member", "une réponse dans chaque membre", "una respuesta en cada miembro", "إجابة في كل عضو"),
    "hierarchies": _words("Coarser views", "Vues plus grossières", "Vistas más gruesas", "عروض أعم"),
    "logic": _words("What cannot occur", "Ce qui ne peut pas exister", "Lo que no puede ocurrir", "ما لا يمكن أن يحدث"),
    "rule": _words("Rule", "Règle", "Regla", "القاعدة"),
    "only where": _words("Only where", "Seulement si", "Solo donde", "فقط حيث"),
    "mappings": _words("Mapping to", "Correspondance vers", "Correspondencia con", "المطابقة مع"),
    "from": _words("From", "De", "De", "من"),
    "coverage": _words("Covered by the standard", "Couvert par la norme", "Cubierto por el estándar", "يغطيه المعيار"),
    "full": _words("yes", "oui", "sí", "نعم"),
    "part": _words("in part", "en partie", "en parte", "جزئيًا"),
    "missing coverage": _words("no", "non", "no", "لا"),
    "note": _words("Note", "Remarque", "Nota", "ملاحظة"),
    "sources": _words("Sources and licences", "Sources et licences", "Fuentes y licencias", "المصادر والتراخيص"),
    "licence": _words("Licence", "Licence", "Licencia", "الترخيص"),
    "unknown": _words("not known", "non connu", "no se sabe", "غير معروف"),
    "not_asked": _words("not asked", "non demandé", "no preguntado", "لم يُسأل"),
    "no": _words("answered no", "réponse non", "respondió no", "أجاب بلا"),
}  # fmt: skip
"""Headings and short words."""

KINDS: Mapping[str, Labels] = {
    "category": _words("one of some values", "une valeur parmi plusieurs", "uno de varios valores", "قيمة من عدة قيم"),
    "multi": _words("several of some values", "plusieurs valeurs", "varios valores", "عدة قيم"),
    "flag": _words("yes or missing", "oui ou manquant", "sí o faltante", "نعم أو مفقود"),
    "number": _words("number, seen in bands", "nombre, vu par tranches", "número, visto en tramos", "رقم ضمن فئات"),
    "date": _words("date, seen in periods", "date, vue par périodes", "fecha, vista en períodos", "تاريخ ضمن فترات"),
    "country": _words("country", "pays", "país", "بلد"),
    "identifier": _words("identifier", "identifiant", "identificador", "معرّف"),
    "text": _words("free text", "texte libre", "texto libre", "نص حر"),
}
"""What a cell holds."""

ROLES: Mapping[str, Labels] = {
    "analysis": _words("analysis", "analyse", "análisis", "تحليل"),
    "person": _words("person", "personne", "persona", "شخص"),
    "consent": _words("consent", "consentement", "consentimiento", "موافقة"),
    "identifier": _words("identifier", "identifiant", "identificador", "معرّف"),
    "text": _words("text", "texte", "texto", "نص"),
}
"""What an attribute is used for."""

LEAVES: Mapping[str, Labels] = {
    "analysis": _words(
        "Leaves the vault only as counts with noise, and as synthetic records drawn from them.",
        "Ne quitte le coffre que sous forme de comptes bruités et de données synthétiques qui en sont tirées.",
        "Solo sale de la bóveda como recuentos con ruido y como registros sintéticos obtenidos de ellos.",
        "لا يخرج من الخزنة إلا كأعداد مضاف إليها تشويش وكسجلات اصطناعية مستمدة منها.",
    ),
    "person": _words(
        "Stays in the vault. Tells which records belong to one person.",
        "Reste dans le coffre. Dit quels dossiers sont d’une même personne.",
        "Se queda en la bóveda. Dice qué registros son de una misma persona.",
        "يبقى في الخزنة. يبين السجلات العائدة إلى شخص واحد.",
    ),
    "consent": _words(
        "Stays in the vault. Decides what a record may be used for; only yes is consent.",
        "Reste dans le coffre. Décide de l’usage d’un dossier ; seul oui est un consentement.",
        "Se queda en la bóveda. Decide para qué se puede usar un registro; solo sí es consentimiento.",
        "يبقى في الخزنة. يحدد ما يجوز استخدام السجل لأجله؛ وحدها نعم موافقة.",
    ),
    "identifier": _words(
        "Never leaves the vault.", "Ne quitte jamais le coffre.", "Nunca sale de la bóveda.", "لا يخرج من الخزنة أبدًا."
    ),
    "text": _words(
        "Free text never leaves the vault.",
        "Le texte libre ne quitte jamais le coffre.",
        "El texto libre nunca sale de la bóveda.",
        "النص الحر لا يخرج من الخزنة أبدًا.",
    ),
}
"""What leaves the vault, per role."""

MERGES: Mapping[str, Labels] = {
    "min": _words("the answer that comes first in the list", "la première réponse de la liste", "la primera respuesta de la lista", "أول إجابة في القائمة"),
    "max": _words("the answer that comes last in the list", "la dernière réponse de la liste", "la última respuesta de la lista", "آخر إجابة في القائمة"),
    "agree": _words(
        "the answer that all records share, else the blank value", "la réponse commune à tous les dossiers, sinon la valeur vide",
        "la respuesta común a todos los registros; si no, el valor vacío", "الإجابة المشتركة بين كل السجلات، وإلا فالقيمة الفارغة",
    ),
    "earliest": _words("the answer of the earliest record", "la réponse du premier dossier", "la respuesta del primer registro", "إجابة السجل الأقدم"),
    "latest": _words("the answer of the latest record", "la réponse du dernier dossier", "la respuesta del último registro", "إجابة السجل الأحدث"),
    "union": _words("every value of any record", "toute valeur d’un dossier", "todo valor de algún registro", "كل قيمة في أي سجل"),
}  # fmt: skip
"""How several records of one person become one."""
