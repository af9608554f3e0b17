"""The command line: `canary run`, and what people type."""

from canary.cli.main import main

__all__ = ["main"]
