"""Members of a fleet: from the objects by which people already run clusters to the ways to their API servers."""
