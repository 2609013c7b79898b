"""Drafts of releases: what is to be drawn, at what price and with what error, and who has to approve it before anything is charged."""
