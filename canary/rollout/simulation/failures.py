"""What can go wrong in a pass of the loop."""


class NotSettlingError(Exception):
    """Decisions follow each other without end while time stands still."""


class Unavailable(Exception):  # noqa: N818 - reads as what it is where it is caught
    """The API server can't be had."""


class Denied(Exception):  # noqa: N818 - reads as what it is where it is caught
    """The API server does not do an action.

    Args:
        words: what it says.
        answered: whether it has said anything.
    """

    def __init__(self, words: str, *, answered: bool = True) -> None:
        super().__init__(words)
        self.answered = answered


class Conflict(Exception):  # noqa: N818 - reads as what it is where it is caught
    """The Canary has changed since it was looked at."""


class Crash(Exception):  # noqa: N818 - reads as what it is where it is caught
    """The controller dies; another one starts, knowing only what the cluster holds."""
