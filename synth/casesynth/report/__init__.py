"""What a release says about itself: the report for everyone, the datasheet for policymakers, the data package for programs.

All three are pure functions from public facts and protected numbers to text. They read no file, no clock and no record.
"""

from casesynth.report.datapackage import datapackage_json
from casesynth.report.datasheet import datasheet_md
from casesynth.report.page import report_html

__all__ = ["datapackage_json", "datasheet_md", "report_html"]
