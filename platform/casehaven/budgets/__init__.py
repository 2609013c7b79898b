"""What an organisation sees and asks about its budgets: its own ledger in coarse steps, and raises of a cap that others approve."""
