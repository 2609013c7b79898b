"""Agreements between organisations: what may be asked of whose datasets together, by whom, for what, how finely and at what cost. No agreement, no pooling."""
