"""When gateways that said they were behind have said so no more."""

from datetime import datetime, timedelta


class CaughtUp:
    """Remembers of each Canary, by key, whether its gateway was behind its route, and since when it is not."""

    def __init__(self) -> None:
        self._since: dict[str, datetime | None] = {}

    def at(self, key: str, unsettled: str, now: datetime, settle: timedelta) -> datetime | None:
        """When a gateway that was behind was first seen not to be; None where it is, or none was for a while.

        Args:
            key: the Canary.
            unsettled: why its gateway is behind; empty where it is not.
            now: the time.
            settle: for how long that matters.
        """
        if unsettled:
            self._since[key] = None
        elif key in self._since:
            since = self._since[key] = self._since[key] or now
            if since + settle > now:
                return since
            del self._since[key]
        return None

    def forget(self, key: str) -> None:
        """A Canary is gone."""
        self._since.pop(key, None)
