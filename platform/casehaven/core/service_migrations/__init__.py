"""Migrations of the service store."""
