"""What a release is worth. `private` compares with real records and never leaves the steward; `release` cannot import it."""
