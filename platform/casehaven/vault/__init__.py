"""The vault: case records encrypted at rest, opened for a reason and a purpose only."""
