"""One watch, from where it begins to where it ends."""

from collections.abc import AsyncGenerator

from canary.kube.client import KubeClient
from canary.kube.decode import decode
from canary.kube.errors import Unreachable, error_of_network, error_of_status
from canary.kube.lines import LineBuffer
from canary.kube.transport import NETWORK_ERRORS, Query
from canary.kube.types import Json


async def changes(client: KubeClient, path: str, query: Query) -> AsyncGenerator[tuple[str, Json], None]:
    """Give the events of one watch, type and object, until the server ends it.

    To be closed when it is left early (`contextlib.aclosing`).

    Args:
        client: The way to the server.
        path: Path of the collection.
        query: What to watch in it.

    Raises:
        KubeError: The watch can't be had, or broke off.
    """
    buffer = LineBuffer()
    async with client.stream(path, {**query, "watch": "true"}) as content:
        try:
            async for chunk in content.iter_any():
                for line in buffer.feed(chunk):
                    kind, obj = _event(decode(line))
                    if kind == "ERROR":
                        raise error_of_status("GET", path, obj)
                    yield kind, obj
        except NETWORK_ERRORS as error:
            raise error_of_network("GET", path, error) from error
        except ValueError as error:
            raise Unreachable("GET", path, f"the watch makes no sense: {error}") from error


def _event(event: object) -> tuple[str, Json]:
    """The type and the object of an event.

    Raises:
        ValueError: It is none.
    """
    kind, obj = (event.get("type"), event.get("object")) if isinstance(event, dict) else (None, None)
    if not isinstance(kind, str) or not isinstance(obj, dict):
        raise ValueError("no event")
    return kind, obj
