"""CanaryFleets as an API server gives them."""

from canary.api.fleet import CanaryFleet, parse_fleet
from canary.api.problems import InvalidResource
from canary.cli.failures import FAILED, CommandError
from canary.kube.types import Json, name_of, namespace_of


def read(raw: Json) -> CanaryFleet:
    """A fleet as a value.

    Raises:
        CommandError: it says what no fleet can.
    """
    try:
        return parse_fleet(raw)
    except InvalidResource as error:
        words = " ".join(str(error).split())
        raise CommandError(f"{namespace_of(raw)}/{name_of(raw)} can't be read: {words}", code=FAILED) from error
