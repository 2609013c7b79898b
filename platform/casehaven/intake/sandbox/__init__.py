"""Parsing of files from outside, in a process of its own that can reach nothing else.

Modules of this package run in that process. They import the standard library, each other and the root of errors, nothing more: what parses a hostile file is small, and
memory is known. `casehaven.intake.readers` starts the process and reads what it says.
"""
