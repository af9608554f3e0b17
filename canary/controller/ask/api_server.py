"""Questions that the Kubernetes API of this cluster answers, over the controller's own connection to it."""

import json
from urllib.parse import parse_qsl, urlsplit

from canary.kube.client import KubeClient
from canary.kube.errors import (
    Forbidden,
    KubeError,
    NotFound,
    ServerError,
    Terminal,
    Throttled,
    Unauthorized,
)
from outbound.connections import Transport
from outbound.errors import NoConnectionError
from outbound.message import Request, Response

_STATUS: tuple[tuple[type[KubeError], int], ...] = (
    (Unauthorized, 401),
    (Forbidden, 403),
    (NotFound, 404),
    (Throttled, 429),
    (ServerError, 500),
    (Terminal, 400),
)


def transport(client: KubeClient) -> Transport:
    """What carries questions there, as answers of the API; nothing of a question's own headers goes with them."""

    async def send(request: Request) -> Response:
        url = urlsplit(request.url)
        try:
            answer = await client.page(url.path, dict(parse_qsl(url.query)))
        except KubeError as error:
            return _refusal(error)
        return Response(200, json.dumps(answer).encode())

    return send


def _refusal(error: KubeError) -> Response:
    """The answer that an error was made of.

    Raises:
        NoConnectionError: there was none.
    """
    status = next((status for kind, status in _STATUS if isinstance(error, kind)), None)
    if status is None:
        raise NoConnectionError(error.message)
    body = {"kind": "Status", "message": error.message}
    after = {"retry-after": f"{error.retry_after:.0f}"} if isinstance(error, Throttled) else {}
    return Response(error.status if isinstance(error, ServerError) else status, json.dumps(body).encode(), after)
