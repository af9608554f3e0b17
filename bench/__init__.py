"""Benchmarks: counts, ratios and times of the controller on a real API server, printed, never asserted."""
