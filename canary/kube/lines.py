"""Cutting a byte stream into lines of any length."""


class LineBuffer:
    """Collects chunks and gives the lines that they complete.

    A line's chunks are joined once, when its end comes, so that a line of many megabytes costs no more than
    its bytes.
    """

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def feed(self, chunk: bytes) -> list[bytes]:
        """Take a chunk; return the lines that are complete with it, without their ends, empty ones left out."""
        first, *others = chunk.split(b"\n")
        self._parts.append(first)
        if not others:
            return []
        *whole, rest = others
        lines = [b"".join(self._parts), *whole]
        self._parts = [rest]
        return [line for line in lines if line]
