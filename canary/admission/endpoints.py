"""What the server answers: a path, and the pure function from the question to the answer."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from canary.admission.conversion import convert
from canary.admission.default import default
from canary.admission.validate import validate
from canary.controller.options import Options
from canary.kube.types import Json

Endpoint = Callable[[Json, Options], Json]
"""From a review to a review; raises `NoReviewError` for what is none."""

ENDPOINTS: Final[Mapping[str, Endpoint]] = MappingProxyType(
    {"/validate": validate, "/default": default, "/convert": convert}
)
"""By path."""
