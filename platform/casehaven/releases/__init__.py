"""Releases: from case files, an agreement on a budget and a key to a protected, signed bundle.

Nothing is imported here: who reads published releases alone (`published.py`, `questions.py`, `comparison/`, `indicators/`) loads neither the vault nor the ledger.
"""
