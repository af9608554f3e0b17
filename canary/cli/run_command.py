"""`canary run`: the controller, with Flagger's flag names."""

import argparse
import asyncio
import gc
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from canary.cli import admission_flags, destination_flags, freeze_flags, vote_flags
from canary.cli.arguments import (
    address,
    annotations_prefix,
    namespace,
    namespace_or_all,
    port,
    spans,
    traffic_provider,
    whole,
)
from canary.cli.failures import DONE, FAILED, CommandError

if TYPE_CHECKING:
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
        description="Run the controller until it is told to stop. Flags are Flagger's; one dash or two."
        " Example: canary run --mesh-provider=traefik --metrics-server=http://prometheus:9090",
        epilog="exit codes: 0 told to stop; 1 the port can't be listened on; 2 a flag or the kubeconfig can't be used",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.set_defaults(run=run, refuse=parser.error)
    for add_group in (
        _add_cluster,
        _add_rollouts,
        destination_flags.add,
        _add_telling,
        vote_flags.add,
        admission_flags.add,
    ):
        add_group(parser)
    for flag, why in WITHOUT_EFFECT.items():
        parser.add_argument(f"--{flag}", nargs="?", const="true", action=Unneeded, reason=why, help=argparse.SUPPRESS)


def _add_cluster(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("cluster")
    group.add_argument("--kubeconfig", type=Path, help="path to a kubeconfig; in a pod none is needed")
    group.add_argument("--context", help="context of the kubeconfig")
    group.add_argument(
        "--namespace", type=namespace_or_all, default="", help="the only namespace to work in; empty for all"
    )
    _flag(group, "--enable-leader-election", True, "let a Lease say which of several controllers acts")
    group.add_argument(
        "--leader-election-namespace", type=namespace, default="kube-system", help="namespace of that Lease"
    )
    group.add_argument("--threadiness", type=whole(1, 1000), default=10, help="Canaries that are worked on at once")


def _add_rollouts(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("rollouts")
    group.add_argument(
        "--mesh-provider",
        type=traffic_provider,
        default=DEFAULT_PROVIDER,
        help="traffic provider of Canaries that name none",
    )
    group.add_argument(
        "--ingress-annotations-prefix",
        type=annotations_prefix,
        default="nginx.ingress.kubernetes.io",
        help="what ingress-nginx's annotations begin with; another is refused",
    )
    group.add_argument(
        "--traffic-settle-time",
        type=spans,
        default="",
        metavar="[PROVIDER=]DURATION,...",
        help="how long pods stay after requests were led away from them, and are ready before any are led to them:"
        " 10s, or traefik=3s,gatewayapi:v1=30s;"
        " what the data plane of each provider is known to need where empty",
    )
    group.add_argument("--metrics-server", type=address, default="http://prometheus:9090", help="address of Prometheus")
    group.add_argument(
        "--selector-labels",
        default="app,name,app.kubernetes.io/name",
        help="pod labels that tell the versions apart, the preferred one first",
    )
    group.add_argument(
        "--include-label-prefix", default="", help="prefixes of labels that are copied to the primary; * for all"
    )
    group.add_argument(
        "--max-concurrent-rollouts",
        type=whole(0, 10_000),
        default=0,
        help="rollouts that may go on at once, of all Canaries; the others wait their turn; 0 for any number",
    )
    group.add_argument(
        "--freeze-window",
        type=freeze_flags.window,
        action="append",
        default=[],
        metavar="JSON",
        help="time at which no rollout begins, of any Canary: an item of spec.scheduling.freezeWindows as JSON; may be"
        " given more than once",
    )
    _flag(group, "--enable-config-tracking", True, "let ConfigMaps and Secrets be part of a revision")
    _flag(group, "--no-cross-namespace-refs", False, "refuse references to other namespaces")


def _add_telling(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group(
        "what one sees",
        f"These variables count before their flags: {', '.join(ENVIRONMENT.values())}.",
    )
    group.add_argument("--address", default="", help="address to listen on; empty for all")
    group.add_argument("--port", type=port, default=8080, help="port of /metrics, /healthz and /readyz")
    group.add_argument("--log-level", choices=LEVELS, default="info", help="least level that is logged")
    group.add_argument("--zap-encoding", choices=("json", "console"), default="json", help="form of the log")
    group.add_argument("--event-webhook", type=address, default="", help="address that is told of every event")
    group.add_argument(
        "--otlp-endpoint",
        type=address,
        default="",
        help="address of an OpenTelemetry collector that gets a trace of every rollout, by OTLP over HTTP, such as"
        " http://collector:4318; where empty, OTEL_EXPORTER_OTLP_ENDPOINT says where, and without it none are made",
    )
    group.add_argument("--cluster-name", default="", help="name of the cluster in alerts")
    group.add_argument(
        "--alert-link",
        type=_link,
        action="append",
        default=[],
        metavar="NAME=TEMPLATE",
        help="link that goes with every alert, such as Dashboard=https://grafana/d/canary?var-name={{ name }}; may be"
        " given more than once",
    )
    group.add_argument(
        "--slack-url", type=address, default="", help="Slack hook for Canaries that name no alert provider"
    )
    group.add_argument("--slack-token", default="", help="token of a Slack bot")
    group.add_argument("--slack-proxy-url", type=address, default="", help="proxy on the way to Slack")
    group.add_argument("--slack-user", default="flagger", help="name that Slack messages come from")
    group.add_argument("--slack-channel", default="", help="Slack channel")
    group.add_argument(
        "--msteams-url", type=address, default="", help="MS Teams hook for Canaries that name no alert provider"
    )
    group.add_argument("--msteams-proxy-url", type=address, default="", help="proxy on the way to MS Teams")


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
    # Of what is loaded nothing is in circles, and to look for them takes a tenth of the time. The controller looks.
    gc.disable()
    # Here and not above: the controller's libraries take longer to load than help may take.
    from outbound.lean import load_lean  # noqa: PLC0415

    load_lean()
    from canary.controller.listening import ListenError  # noqa: PLC0415
    from canary.controller.logs import configure  # noqa: PLC0415
    from canary.controller.run import run as run_controller  # noqa: PLC0415
    from canary.kube.library import ConfigError  # noqa: PLC0415

    configure(arguments.log_level, arguments.zap_encoding)
    take_from_environment(arguments, os.environ)
    try:
        asyncio.run(run_controller(options_of(arguments)))
    except ListenError as error:
        raise CommandError(f"{error.flags} can't be listened on: {error}", code=FAILED) from error
    except ConfigError as error:
        raise CommandError(f"no way to an API server: {error}; see --kubeconfig") from error
    return DONE


def take_from_environment(arguments: argparse.Namespace, environment: Mapping[str, str]) -> None:
    """Take what is given by a variable, which counts before its flag, as in Flagger.

    Not by the flags' defaults: `--help` shows those, and these are secrets.
    """
    from canary.api.addresses import is_web_address  # noqa: PLC0415

    for flag, variable in ENVIRONMENT.items():
        # A Secret that was made from a file mostly ends with the line.
        value = environment.get(variable, "").strip()
        if not value:
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
        freezes=freeze_flags.windows_of(arguments),
        max_rollouts=arguments.max_concurrent_rollouts,
        leader_election=arguments.enable_leader_election,
        lease_namespace=arguments.leader_election_namespace,
        destinations=destination_flags.destinations_of(arguments),
        event_webhook=arguments.event_webhook,
        messengers=tuple(messengers),
        cluster=arguments.cluster_name,
        links=dict(arguments.alert_link),
        traces=_traces(arguments),
        votes=vote_flags.settings_of(arguments),
        admission=admission_flags.admission_of(arguments),
    )


def _traces(arguments: argparse.Namespace) -> str:
    """Where spans go; empty where none are made. Variables may be there for others: they keep nothing from starting."""
    from canary.controller.otlp import is_installed, traces_url  # noqa: PLC0415

    url = traces_url(arguments.otlp_endpoint, os.environ)
    if not url or is_installed():
        return url
    needed = "traces need the extra otel: pip install 'canary-controller[otel]'"
    if arguments.otlp_endpoint:
        arguments.refuse(f"{needed}; or leave --otlp-endpoint out")
    print(f"canary run: OpenTelemetry's variables have no effect: {needed}", file=sys.stderr)
    return ""


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


def _link(text: str) -> tuple[str, str]:
    """The words to be clicked, and the template of an address."""
    from canary.alerts.templates import why_no_link  # noqa: PLC0415

    name, _, template = text.partition("=")
    if not (name.strip() and template.strip()):
        msg = f"{text!r} is not NAME=TEMPLATE, such as Dashboard=https://grafana/d/canary?var-name={{{{ name }}}}"
        raise argparse.ArgumentTypeError(msg)
    if why := why_no_link(template.strip()):
        msg = f"no link can be made of {template.strip()!r}: {why}"
        raise argparse.ArgumentTypeError(msg)
    return name.strip(), template.strip()


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
