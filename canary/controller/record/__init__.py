"""Record: the status in one guarded write, then events, metrics and alerts."""
