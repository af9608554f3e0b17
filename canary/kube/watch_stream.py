"""One watch, from where it begins to where it ends."""

import json
from collections.abc import AsyncGenerator

from canary.kube.client import KubeClient
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
                    event: Json = json.loads(line)
                    if event["type"] == "ERROR":
                        raise error_of_status("GET", path, event["object"])
                    yield event["type"], event["object"]
        except NETWORK_ERRORS as error:
            raise error_of_network("GET", path, error) from error
        except ValueError as error:
            raise Unreachable("GET", path, "the watch isn't JSON") from error
