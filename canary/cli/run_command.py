"""`canary run`: the controller, with Flagger's flag names."""

import argparse
import asyncio
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from canary.cli.arguments import (
    address,
    annotations_prefix,
    namespace,
    namespace_or_all,
    port,
    traffic_provider,
    whole,
)
from canary.cli.failures import DONE, FAILED, CommandError

if TYPE_CHECKING:
    from datetime import timedelta

    from canary.controller.options import Options

DEFAULT_PROVIDER = "traefik"
"""Flagger's is Istio."""

LEVELS = ("debug", "info", "warning", "error")

WITHOUT_EFFECT = {
    "control-loop-interval": "changes are acted on as they come",
    "ingress-class": "the provider contour is not supported yet",
    "kubeconfig-burst": "the API server says itself when it is asked too much",
    "kubeconfig-qps": "the API server says itself when it is asked too much",
    "zap-replace-globals": "there is no zap logger",
}
"""Flags of Flagger's that deployments may carry and that change nothing here."""

ENVIRONMENT = {
    "slack_url": "SLACK_URL",
    "slack_token": "SLACK_TOKEN",
    "slack_proxy_url": "SLACK_PROXY_URL",
    "msteams_url": "MSTEAMS_URL",
    "msteams_proxy_url": "MSTEAMS_PROXY_URL",
    "event_webhook": "EVENT_WEBHOOK_URL",
}
"""Flags that may come as variables, under Flagger's names: out of a Secret, so that they stand in no manifest."""


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "run",
        help="run the controller",
        description="Run the controller until it is told to stop. Flags are Flagger's; one dash or two.",
        epilog="exit codes: 0 told to stop; 1 the port can't be listened on; 2 a flag or the kubeconfig can't be used",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.set_defaults(run=run, refuse=parser.error)
    cluster = parser.add_argument_group("cluster")
    cluster.add_argument("--kubeconfig", type=Path, help="path to a kubeconfig; in a pod none is needed")
    cluster.add_argument("--context", help="context of the kubeconfig")
    cluster.add_argument(
        "--namespace", type=namespace_or_all, default="", help="the only namespace to work in; empty for all"
    )
    _flag(cluster, "--enable-leader-election", True, "let a Lease say which of several controllers acts")
    cluster.add_argument(
        "--leader-election-namespace", type=namespace, default="kube-system", help="namespace of that Lease"
    )
    cluster.add_argument("--threadiness", type=whole(1, 1000), default=10, help="Canaries that are worked on at once")

    rollout = parser.add_argument_group("rollouts")
    rollout.add_argument(
        "--mesh-provider",
        type=traffic_provider,
        default=DEFAULT_PROVIDER,
        help="traffic provider of Canaries that name none",
    )
    rollout.add_argument(
        "--ingress-annotations-prefix",
        type=annotations_prefix,
        default="nginx.ingress.kubernetes.io",
        help="what ingress-nginx's annotations begin with; another is refused",
    )
    rollout.add_argument(
        "--traffic-settle-time",
        type=_spans,
        default="",
        metavar="[PROVIDER=]DURATION,...",
        help="how long pods stay after requests were led away from them, such as 10s or traefik=3s,gatewayapi:v1=30s;"
        " what the data plane of each provider is known to need where empty",
    )
    rollout.add_argument(
        "--metrics-server", type=address, default="http://prometheus:9090", help="address of Prometheus"
    )
    rollout.add_argument(
        "--selector-labels",
        default="app,name,app.kubernetes.io/name",
        help="pod labels that tell the versions apart, the preferred one first",
    )
    rollout.add_argument(
        "--include-label-prefix", default="", help="prefixes of labels that are copied to the primary; * for all"
    )
    _flag(rollout, "--enable-config-tracking", True, "let ConfigMaps and Secrets be part of a revision")
    _flag(rollout, "--no-cross-namespace-refs", False, "refuse references to other namespaces")

    telling = parser.add_argument_group(
        "what one sees",
        f"Where a flag is not given, these variables count: {', '.join(ENVIRONMENT.values())}.",
    )
    telling.add_argument("--address", default="", help="address to listen on; empty for all")
    telling.add_argument("--port", type=port, default=8080, help="port of /metrics, /healthz and /readyz")
    telling.add_argument("--log-level", choices=LEVELS, default="info", help="least level that is logged")
    telling.add_argument("--zap-encoding", choices=("json", "console"), default="json", help="form of the log")
    telling.add_argument("--event-webhook", type=address, default="", help="address that is told of every event")
    telling.add_argument("--cluster-name", default="", help="name of the cluster in alerts")
    telling.add_argument(
        "--slack-url", type=address, default="", help="Slack hook for Canaries that name no alert provider"
    )
    telling.add_argument("--slack-token", default="", help="token of a Slack bot")
    telling.add_argument("--slack-proxy-url", type=address, default="", help="proxy on the way to Slack")
    telling.add_argument("--slack-user", default="flagger", help="name that Slack messages come from")
    telling.add_argument("--slack-channel", default="", help="Slack channel")
    telling.add_argument(
        "--msteams-url", type=address, default="", help="MS Teams hook for Canaries that name no alert provider"
    )
    telling.add_argument("--msteams-proxy-url", type=address, default="", help="proxy on the way to MS Teams")

    for flag, why in WITHOUT_EFFECT.items():
        parser.add_argument(f"--{flag}", nargs="?", const="true", action=Unneeded, reason=why, help=argparse.SUPPRESS)


class Unneeded(argparse.Action):
    """Takes a flag of Flagger's that has no effect here, and says why."""

    def __init__(self, *, reason: str, **settings: object) -> None:
        super().__init__(**settings)  # type: ignore[arg-type]  # what argparse itself passes on
        self.reason = reason

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: object,
        option_string: str | None = None,
    ) -> None:
        """Warn; the value does not matter."""
        print(f"canary run: {option_string} has no effect: {self.reason}", file=sys.stderr)


def run(arguments: argparse.Namespace) -> int:
    """Run the controller with these arguments, and return the exit code."""
    # Here and not above: the controller's libraries take longer to load than help may take.
    from canary.controller.logs import configure  # noqa: PLC0415
    from canary.controller.run import run as run_controller  # noqa: PLC0415
    from canary.controller.server import ListenError  # noqa: PLC0415
    from canary.kube.library import ConfigError  # noqa: PLC0415

    configure(arguments.log_level, arguments.zap_encoding)
    take_from_environment(arguments, os.environ)
    try:
        asyncio.run(run_controller(options_of(arguments)))
    except ListenError as error:
        where = (
            f"--address {arguments.address} --port {arguments.port}"
            if arguments.address
            else f"--port {arguments.port}"
        )
        raise CommandError(f"{where} can't be listened on: {error}", code=FAILED) from error
    except ConfigError as error:
        raise CommandError(f"no way to an API server: {error}; see --kubeconfig") from error
    return DONE


def take_from_environment(arguments: argparse.Namespace, environment: Mapping[str, str]) -> None:
    """Fill in what was not given by a flag.

    Not by the flags' defaults: `--help` shows those, and these are secrets.
    """
    from canary.api.addresses import is_web_address  # noqa: PLC0415

    for flag, variable in ENVIRONMENT.items():
        # A Secret that was made from a file mostly ends with the line.
        value = environment.get(variable, "").strip()
        if getattr(arguments, flag) or not value:
            continue
        if variable != "SLACK_TOKEN" and not is_web_address(value):
            arguments.refuse(f"the variable {variable} is not an http:// or https:// address")
        setattr(arguments, flag, value)


def options_of(arguments: argparse.Namespace) -> "Options":
    """The controller's settings out of the parsed command line."""
    from canary.alerts.alert import Destination  # noqa: PLC0415
    from canary.controller.options import Options  # noqa: PLC0415
    from canary.workloads.base import Rules  # noqa: PLC0415

    messengers = []
    if arguments.slack_url:
        messengers.append(
            Destination(
                "slack",
                arguments.slack_url,
                token=arguments.slack_token,
                username=arguments.slack_user,
                channel=arguments.slack_channel,
                proxy=arguments.slack_proxy_url,
            )
        )
    if arguments.msteams_url:
        messengers.append(Destination("msteams", arguments.msteams_url, proxy=arguments.msteams_proxy_url))
    return Options(
        kubeconfig=arguments.kubeconfig,
        context=arguments.context,
        namespace=arguments.namespace or None,
        mesh_provider=arguments.mesh_provider,
        settle=arguments.traffic_settle_time,
        metrics_server=arguments.metrics_server,
        address=arguments.address,
        port=arguments.port,
        rules=Rules(
            selector_labels=_words(arguments.selector_labels),
            include_label_prefixes=_words(arguments.include_label_prefix),
        ),
        track_configs=arguments.enable_config_tracking,
        cross_namespace_refs=not arguments.no_cross_namespace_refs,
        workers=arguments.threadiness,
        leader_election=arguments.enable_leader_election,
        lease_namespace=arguments.leader_election_namespace,
        event_webhook=arguments.event_webhook,
        messengers=tuple(messengers),
        cluster=arguments.cluster_name,
    )


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


def _flag(group: argparse._ArgumentGroup, name: str, default: bool, text: str) -> None:
    """A switch as Go's: `--name`, `--name=true` and `--name=false`."""
    group.add_argument(name, nargs="?", const=True, default=default, type=_boolean, metavar="true|false", help=text)


def _boolean(text: str) -> bool:
    match text.lower():
        case "true" | "t" | "1":
            return True
        case "false" | "f" | "0":
            return False
        case _:
            msg = f"{text!r} is neither true nor false"
            raise argparse.ArgumentTypeError(msg)


def _spans(text: str) -> "dict[str, timedelta]":
    """Durations by the name of a provider; the one without a name is for all others."""
    from canary.api.durations import REMEDY, parse_duration  # noqa: PLC0415
    from canary.routers.registry import supported  # noqa: PLC0415

    spans: dict[str, timedelta] = {}
    for part in _words(text):
        provider, _, span = part.rpartition("=")
        if provider and provider not in supported():
            msg = f"traffic provider {provider} is not supported; write one of {', '.join(supported())}"
            raise argparse.ArgumentTypeError(msg)
        try:
            spans[provider] = parse_duration(span)
        except ValueError as error:
            msg = f"{error}; {REMEDY}"
            raise argparse.ArgumentTypeError(msg) from error
        if spans[provider] < parse_duration("0s"):
            msg = f"{span} is negative; {REMEDY}"
            raise argparse.ArgumentTypeError(msg)
    return spans
