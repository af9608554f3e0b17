"""`canary sandbox demo` starts this inside a private network; it is not typed by people."""

import os
import sys


def main() -> int:
    """Play the demonstration; the exit status."""
    try:
        from canary.sandbox.demo import command  # noqa: PLC0415 - so that an interruption at once is a quiet one

        return command.main()
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # At its end Python would try to write the rest, and complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 141


if __name__ == "__main__":
    sys.exit(main())
