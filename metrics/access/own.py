"""The controller's own identity in a cloud, as the cloud gives it to its pod: by environment and by files.

It is asked for where a template names no Secret, as Flagger's templates for CloudWatch do not, and is shown to the
cloud itself alone, never at an address that a template names.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path

_PREFIXES = ("AWS_", "GOOGLE_", "GCE_")
_FILES = {
    "AWS_WEB_IDENTITY_TOKEN_FILE": "AWS_WEB_IDENTITY_TOKEN",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": "AWS_CONTAINER_AUTHORIZATION_TOKEN",
    "GOOGLE_APPLICATION_CREDENTIALS": "GOOGLE_SERVICE_ACCOUNT_KEY",
}
"""Variables that name a file, and by what its contents are known here; tokens in them are replaced hourly."""

Own = Mapping[str, str]
"""The variables, and the contents of the files."""


async def identity() -> Own:
    """What the pod has been given."""
    return await asyncio.to_thread(_read, dict(os.environ))


def _read(environment: Mapping[str, str]) -> Own:
    found = {name: value for name, value in environment.items() if name.startswith(_PREFIXES)}
    for variable, name in _FILES.items():
        if path := found.get(variable):
            try:
                found[name] = Path(path).read_text(encoding="utf-8").strip()
            except (OSError, UnicodeDecodeError):
                continue
    return found
