"""The worker: the process that holds the keys, opens vault and ledger, and does the jobs that the api asks for."""
