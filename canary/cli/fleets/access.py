"""CanaryFleets of a cluster, as its API server gives them."""

from canary.api.fleet import CanaryFleet, parse_fleet
from canary.api.problems import InvalidResource
from canary.cli.failures import FAILED, CommandError
from canary.kube.client import KubeClient
from canary.kube.types import CANARY_FLEET, Json, name_of, namespace_of


async def fleets(client: KubeClient, namespace: str | None) -> list[Json]:
    """All fleets of a namespace, or of all, in the order of their names.

    Raises:
        KubeError: they can't be read.
    """
    found: list[Json] = (await client.list(CANARY_FLEET, namespace))["items"]
    typed = [{"apiVersion": CANARY_FLEET.api_version, "kind": CANARY_FLEET.kind, **each} for each in found]
    return sorted(typed, key=lambda each: (namespace_of(each) or "", name_of(each)))


async def fleet(client: KubeClient, namespace: str, name: str) -> Json:
    """One fleet.

    Raises:
        KubeError: there is none, or it can't be read.
    """
    return await client.get(CANARY_FLEET, namespace, name)


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
