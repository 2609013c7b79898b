"""What every area of the service stands on: the database, its migrations and the audit log."""
