"""Programs that stand in for applications: they are run as modules, and import as little as they can to start fast."""
