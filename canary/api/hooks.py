"""What a webhook says that can't work."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Final

from canary.api.addresses import is_header_name, is_header_value, is_web_address
from canary.api.analysis import GATES, HookType, Webhook
from canary.api.durations import duration_text
from canary.api.gates import MEMBERS, Approval, Gate
from canary.api.problems import Problem

OURS: Final = frozenset(
    {
        *("webhook-id", "webhook-timestamp", "webhook-signature"),
        *("connection", "content-length", "expect", "keep-alive", "proxy-authorization", "proxy-connection"),
        *("te", "trailer", "transfer-encoding", "upgrade"),
    }
)
"""Headers that say what a message is, and where it ends."""


TELLING: Final = (HookType.POST_ROLLOUT, HookType.EVENT)
"""Types of webhook whose answer nothing hangs on."""

FOR_CALLS: Final = frozenset({"retries", "disable_tls", "metadata", "headers", "secret_ref"})
"""What says how a service is called."""


def problems(field: str, hook: Webhook) -> Iterator[Problem]:
    """Everything in one webhook that can't work.

    Args:
        field: where it stands.
        hook: the webhook.
    """
    if hook.gate is not None:
        yield from _gate(field, hook, hook.gate)
    elif not is_web_address(hook.url):
        yield Problem(f"{field}.url", f"{hook.url!r} is no address", "write one such as http://loadtester.test/")
    if hook.timeout <= timedelta(0):
        text = duration_text(hook.timeout)
        yield Problem(f"{field}.timeout", f"{text} leaves no time to answer", "write a duration such as 10s")
    if hook.retries < 0:
        yield Problem(f"{field}.retries", f"{hook.retries} is no number of retries", "write 0 or more")
    if hook.secret_ref is not None and not hook.secret_ref.name:
        yield Problem(f"{field}.secretRef.name", "is empty", "name the Secret, or take secretRef out")
    for name, values in hook.headers.items():
        yield from _header(f"{field}.headers", name, values)


def _gate(field: str, hook: Webhook, gate: Gate) -> Iterator[Problem]:
    if not gate.members:
        yield Problem(f"{field}.gate", "says nothing of what answers", f"set one of {', '.join(MEMBERS)}")
    elif len(gate.members) > 1:
        yield Problem(f"{field}.gate", f"{' and '.join(gate.members)} can't both answer", "leave one of them")
    if hook.url:
        yield Problem(f"{field}.url", "with a gate no address is called", "take out url, or gate")
    for name in sorted(FOR_CALLS & hook.model_fields_set):
        alias = Webhook.model_fields[name].alias or name
        yield Problem(f"{field}.{alias}", "is for calls, and a gate makes none", "take it out")
    if gate.approval is not None:
        yield from _approval(f"{field}.gate.approval", hook, gate.approval)
        if "timeout" in hook.model_fields_set:
            message, remedy = "how long people are waited for stands in the approval", "write gate.approval.timeout"
            yield Problem(f"{field}.timeout", message, remedy)
    if hook.type in TELLING:
        message = f"a webhook of the type {hook.type.value} is told, and a gate is asked"
        yield Problem(f"{field}.gate", message, "set url, or another type, such as rollout")
    if hook.type is HookType.ROLLBACK:
        message = "a gate that passes would take the version back"
        yield Problem(f"{field}.gate", message, "set url, or the type rollout, where a gate that fails counts")


def _approval(field: str, hook: Webhook, approval: Approval) -> Iterator[Problem]:
    if hook.type not in GATES:
        message = f"a webhook of the type {hook.type.value or HookType.ROLLOUT.value} is no gate that people open"
        yield Problem(field, message, f"write one of the types {', '.join(each.value for each in GATES)}")
    people, wanted = approval.approvers, approval.min_approvals
    if "" in people or len(set(people)) < len(people):
        yield Problem(f"{field}.approvers", "somebody stands there twice, or without a name", "write each name once")
    if people and wanted > len(set(people)):
        message = f"{wanted} can't approve where there are {len(set(people))} approvers"
        yield Problem(f"{field}.minApprovals", message, "write fewer, or name more approvers")
    if approval.timeout is not None and approval.timeout <= timedelta(0):
        text = duration_text(approval.timeout)
        yield Problem(f"{field}.timeout", f"{text} leaves nobody time", "write a duration such as 24h")
    if approval.timeout is None and "on_timeout" in approval.model_fields_set:
        yield Problem(f"{field}.onTimeout", "there is no timeout that it could be of", "write timeout, or take it out")


def names(field: str, hooks: Sequence[Webhook]) -> Iterator[Problem]:
    """Gates that could not be told apart: what is run for one is known by the webhook's type and name.

    Args:
        field: where the webhooks stand.
        hooks: all of them.
    """
    seen: set[tuple[HookType, str]] = set()
    for index, hook in enumerate(hooks):
        if hook.gate is None:
            continue
        if (hook.type, hook.name) in seen:
            message = f"{hook.name} is another gate of the type {hook.type.value}, too"
            yield Problem(f"{field}[{index}].name", message, "write a name that no other has")
        seen.add((hook.type, hook.name))


def _header(field: str, name: str, values: tuple[str, ...]) -> Iterator[Problem]:
    if not is_header_name(name):
        yield Problem(field, f"{name!r} is no name of a header", "write one such as X-Team")
    elif name.lower() in OURS:
        yield Problem(f"{field}.{name}", "is written by the controller alone", "take it out")
    elif not all(map(is_header_value, values)):
        remedy = "write printable ASCII on one line"
        yield Problem(f"{field}.{name}", "holds characters that no header can carry", remedy)
