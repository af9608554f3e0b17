"""What Istio's own analyzers say of objects: those of `istioctl analyze`, its validation among them.

Of fields that do not exist they say nothing: that is the API server's affair.
"""

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

from canary.kube.types import Json
from canary.sandbox import binaries

_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Message:
    """What is said of an object.

    Args:
        code: such as `IST0101`, as Istio's documents list them.
        level: `Info`, `Warning` or `Error`.
        text: what it says.
        origin: the object, such as `VirtualService test/app`; empty for none.
    """

    code: str
    level: str
    text: str
    origin: str


def analyzed(objects: Sequence[Json]) -> list[Message]:
    """All that Istio's analyzers have to say of these objects, which are the whole cluster to them.

    Raises:
        ToolMissingError: the program is not built, and can't be here.
        CalledProcessError: an object can't be read.
    """
    program = binaries.ensure(("istio-analyze",))["istio-analyze"]
    given = "\n---\n".join(json.dumps(obj) for obj in objects)
    done = subprocess.run([program], input=given, capture_output=True, text=True, timeout=_SECONDS, check=True)
    return [
        Message(each["code"], each["level"], each["message"], each.get("origin", ""))
        for each in json.loads(done.stdout)
    ]
