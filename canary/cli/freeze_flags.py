"""The flag of `canary run` that says when no rollout begins."""

import argparse
import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from canary.api.freezes import FreezeWindow


def window(text: str) -> "FreezeWindow":
    """Reads a freeze window, written as in a Canary."""
    from pydantic import ValidationError  # noqa: PLC0415

    from canary.api.freezes import FreezeWindow, problems  # noqa: PLC0415

    try:
        read = FreezeWindow.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        msg = f"{text!r} is no freeze window: {where + ': ' if where else ''}{first['msg']}"
        raise argparse.ArgumentTypeError(msg) from error
    known = [field.alias or name for name, field in FreezeWindow.model_fields.items()]
    if unknown := next((key for key in json.loads(text) if key not in known), None):
        # No API server prunes it or says so: a window that is to come again would come once.
        msg = f"{unknown}: unknown field; there are {', '.join(known)}"
        raise argparse.ArgumentTypeError(msg)
    if found := next(problems((read,), "windows"), None):
        msg = str(found).replace("windows[0].", "")
        raise argparse.ArgumentTypeError(msg)
    return read


def windows_of(arguments: argparse.Namespace) -> "tuple[FreezeWindow, ...]":
    """The windows of all flags; what is wrong with them together is refused."""
    from canary.api.freezes import problems  # noqa: PLC0415

    windows = tuple(arguments.freeze_window)
    if found := next(problems(windows, "--freeze-window "), None):
        arguments.refuse(str(found))
    return windows
