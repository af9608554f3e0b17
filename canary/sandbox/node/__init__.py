"""The machines of the sandbox: pods become local processes (`python -m canary.sandbox.node`)."""
