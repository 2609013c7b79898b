"""One migration per module. A migration that was ever released never changes, and imports no table of today."""
