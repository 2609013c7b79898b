"""`python -m casehaven` is the command line."""

from casehaven.cli import main

if __name__ == "__main__":
    main()
