"""Own statistics: exact tables of an organisation's own people who consented to it. Not for release, and no release imports this package."""
