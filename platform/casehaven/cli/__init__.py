"""The command line: `casehaven`, and one module per subcommand."""

from casehaven.cli._root import main

__all__ = ["main"]
