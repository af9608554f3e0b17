"""`canary sandbox demo` starts this inside a private network; it is not typed by people."""

import sys


def main() -> int:
    """Play the demonstration; the exit status."""
    try:
        from canary.sandbox.demo import command  # noqa: PLC0415 - so that an interruption at once is a quiet one

        return command.main()
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
