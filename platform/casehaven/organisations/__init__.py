"""Organisations, their members, and who may do what: kinds, roles, rights, grants of datasets, and the events that tell of changes."""
