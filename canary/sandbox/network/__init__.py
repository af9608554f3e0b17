"""Service addresses and names of the sandbox (`python -m canary.sandbox.network`)."""
