"""The root of every error that casesynth raises."""


class CasesynthError(Exception):
    """Root of casesynth's errors. Messages name attributes, files and limits, never case values or counts of people."""
