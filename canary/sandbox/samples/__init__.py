"""Programs that stand in for applications: they need the standard library only, and are run by their path."""
