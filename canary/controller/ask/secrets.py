"""Credentials out of Secrets: read when they are needed, so that a rotated one counts at once, and never kept."""

import base64

from canary.kube.client import KubeClient
from canary.kube.types import SECRET


async def read_secret(client: KubeClient, namespace: str, name: str) -> dict[str, str]:
    """The contents of a Secret, decoded.

    Raises:
        NotFound: there is no such Secret.
        KubeError: it can't be read.
    """
    secret = await client.get(SECRET, namespace, name)
    data = secret.get("data") or {}
    return {key: base64.b64decode(value).decode(errors="replace") for key, value in data.items()}
