"""What was applied, marked on the object itself: so that what is left out of a manifest later is seen to be left out.

Server-side apply takes a field off that its manager no longer names. To know that it must be asked to, without the
`managedFields` that no cache keeps, the object carries a digest of the manifest that it was applied from.
"""

import hashlib
import json

from canary.kube.types import Json

_DIGITS = 16


def marked(manifest: Json, annotation: str) -> Json:
    """The manifest with a digest of itself in an annotation; an object that carries another was applied otherwise.

    Args:
        manifest: what is to be applied; stays as it is.
        annotation: where the digest goes.
    """
    text = json.dumps(manifest, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]
    metadata = manifest["metadata"]
    annotations = {**(metadata.get("annotations") or {}), annotation: digest}
    return {**manifest, "metadata": {**metadata, "annotations": annotations}}
