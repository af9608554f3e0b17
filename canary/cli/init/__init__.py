"""A first spec for a workload that runs: what was found around it, what was guessed, and what is left to do."""
