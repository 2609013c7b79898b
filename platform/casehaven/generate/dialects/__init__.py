"""Made-up case records as the tools of organisations export them: KoboToolbox, ODK Central, Primero, Salesforce, IOM's templates, workbooks kept by hand."""

from casehaven.generate.dialects.defects import Defect
from casehaven.generate.dialects.registry import DIALECTS, Dialect, write_dialect

__all__ = ["DIALECTS", "Defect", "Dialect", "write_dialect"]
