"""`python -m casehaven` is the command line."""

from casehaven.cli import main

main()
