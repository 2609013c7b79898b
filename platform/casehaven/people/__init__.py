"""People in a vault: find, show, correct, record consent, export, erase, keep no longer than needed, and see possible duplicates."""
