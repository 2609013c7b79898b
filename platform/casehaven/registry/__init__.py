"""The registry of published releases: citable, versioned, withdrawn by a notice and never silently, with a signed public log."""
