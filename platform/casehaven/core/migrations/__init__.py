"""How the tables came to be: one module per version, in `versions/`, run by `casehaven.core.migrate`."""
