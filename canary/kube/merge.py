"""JSON merge patches (RFC 7386)."""

from canary.kube.types import Json


def merge_patch(before: Json, after: Json) -> Json:
    """The JSON merge patch (RFC 7386) from one object to another."""
    patch: Json = {key: None for key in before if key not in after}
    for key, value in after.items():
        old = before.get(key)
        if isinstance(value, dict) and isinstance(old, dict):
            if inner := merge_patch(old, value):
                patch[key] = inner
        elif key not in before or value != old:
            patch[key] = value
    return patch
