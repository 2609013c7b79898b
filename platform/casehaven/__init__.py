"""The service: who may do what, with which records and which budget."""
