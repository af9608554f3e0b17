"""The gateways that a sandbox can have, a module each."""
