"""The files of a bundle and what each is for. The datasheet and the data package describe them alike."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class BundleFile:
    """One kind of file."""

    name: str
    title: str
    use: str
    mediatype: str


PARQUET = "application/vnd.apache.parquet"

BUNDLE_FILES = (
    BundleFile(
        name="showcase.html",
        title="Showcase",
        use="Open it in a browser: click values to filter, compare two groups, see maps and flows. Every number comes with its interval.",
        mediatype="text/html",
    ),
    BundleFile(
        name="report.html",
        title="Report",
        use="Open it in a browser. It shows how good the numbers are and the main numbers themselves.",
        mediatype="text/html",
    ),
    BundleFile(
        name="datasheet.md",
        title="Datasheet",
        use="This description, in plain words.",
        mediatype="text/markdown",
    ),
    BundleFile(
        name="aggregates.csv",
        title="Aggregates",
        use=(
            "One row for each combination of up to three values: an estimate and its 95 % interval. Quote numbers "
            "from here. Opens in a spreadsheet."
        ),
        mediatype="text/csv",
    ),
    BundleFile(name="aggregates.parquet", title="Aggregates", use="The same, for data tools.", mediatype=PARQUET),
    BundleFile(
        name="synthetic.csv",
        title="Synthetic records",
        use=(
            "Invented records that follow the patterns of the real ones. For exploring, teaching and trying out "
            "methods."
        ),
        mediatype="text/csv",
    ),
    BundleFile(name="synthetic.parquet", title="Synthetic records", use="The same, for data tools.", mediatype=PARQUET),
    BundleFile(
        name="measurements.parquet",
        title="Measurements",
        use="The noisy tables. Everything else was made from them, and anyone can make it again.",
        mediatype=PARQUET,
    ),
    BundleFile(
        name="model.parquet",
        title="Model",
        use="The statistical model that was fitted to the measurements.",
        mediatype=PARQUET,
    ),
    BundleFile(
        name="datapackage.json",
        title="Data package",
        use="Describes the files and their columns for programs (Frictionless Data Package, version 2).",
        mediatype="application/json",
    ),
    BundleFile(
        name="manifest.json",
        title="Manifest",
        use="The guarantee in numbers, and the fingerprint of every file.",
        mediatype="application/json",
    ),
    BundleFile(
        name="manifest.sig",
        title="Signature",
        use="Shows who published the release, and that nothing was changed since.",
        mediatype="application/json",
    ),
)

_BY_NAME = {file.name: file for file in BUNDLE_FILES}


def described(name: str) -> BundleFile:
    """Return what is known of a file of a bundle; a file that is not known is described as such."""
    other = BundleFile(
        name=name, title=name, use="A further file of this bundle.", mediatype="application/octet-stream"
    )
    return _BY_NAME.get(name, other)
