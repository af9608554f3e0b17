"""Gates that people open: how they stand, and votes on them."""

from datetime import UTC, datetime

from canary.api.canary import Canary, parse_canary
from canary.api.problems import InvalidResource
from canary.cli.cluster.access import objects
from canary.cli.cluster.orders import MANAGER
from canary.cli.cluster.tables import table
from canary.cli.failures import FAILED, CommandError
from canary.kube.client import KubeClient
from canary.kube.errors import KubeError
from canary.kube.types import CANARY, Json
from canary.rollout.voting import VoteRefused, asked_of, described, vote


async def give(client: KubeClient, namespace: str, name: str, gate: str, why: str, *, approves: bool) -> str:
    """Vote on a gate.

    Args:
        client: the way to the cluster.
        namespace: the Canary's.
        name: the Canary's.
        gate: the name of the webhook; empty for the only one that waits.
        why: why.
        approves: whether that is yes.

    Returns:
        What was done, in a line.

    Raises:
        KubeError: there is no such Canary, or it may not be written.
        CommandError: the vote would count for nothing.
    """
    canary = _read(await client.get(CANARY, namespace, name))
    try:
        entry = asked_of(canary, gate)
        at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        given = vote(canary, entry, await _who(client), approves=approves, at=at, why=why)
    except VoteRefused as error:
        raise CommandError(f"{canary.key}: {error}", code=FAILED) from error
    patch: Json = {"metadata": {"annotations": {given.key: given.text()}}}
    await client.merge_patch(CANARY, namespace, name, patch, field_manager=MANAGER)
    said = "approves" if approves else "rejects"
    return f"{canary.key}: {given.by} {said} gate {entry.gate}; see it by: canary explain {name} -n {namespace}"


async def shown(client: KubeClient, namespace: str | None, name: str) -> list[str]:
    """The table of gates.

    Args:
        client: the way to the cluster.
        namespace: where; None for all namespaces.
        name: the only Canary; empty for all.
    """
    found = (
        [await client.get(CANARY, namespace, name)] if name and namespace else await objects(client, CANARY, namespace)
    )
    rows = [(canary.key, *row) for canary in map(_read_tolerantly, found) if canary for row in described(canary)]
    if not rows:
        return ["no gate waits for people, or was opened by them in a rollout that is under way"]
    return table(("CANARY", "GATE", "TYPE", "STATE", "APPROVALS", "APPROVERS", "SAID"), rows)


def _read(raw: Json) -> Canary:
    try:
        return parse_canary(raw)
    except InvalidResource as error:
        raise CommandError(f"it can't be read: {error}", code=FAILED) from error


def _read_tolerantly(raw: Json) -> Canary | None:
    try:
        return parse_canary(raw)
    except InvalidResource:
        return None


async def _who(client: KubeClient) -> str:
    """Who votes, as the API server knows them: their own word counts for nothing."""
    try:
        return await client.user()
    except KubeError:
        return ""
