"""What a rehearsal refuses: what the API server or the controller would, with its place, in whichever file it is."""

import io
import json
import sys
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml

from canary.cli.main import main
from tests.unit.cli.specs import CANARY, TEMPLATE

Raw = dict[str, Any]
Out = pytest.CaptureFixture[str]
Rehearse = Callable[..., tuple[int, list[str]]]

DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: shop, namespace: prod}
spec:
  replicas: 3
  selector: {matchLabels: {app: shop}}
  template:
    metadata: {labels: {app: shop}}
    spec:
      containers: [{name: app, image: "shop:1", ports: [{name: http, containerPort: 80}]}]
"""
FILE_REFUSED = "MetricTemplate errors in prod: spec.provider.region: cloudwatch needs one; write one such"


@pytest.fixture
def rehearse(tmp_path: Path, capsys: Out, monkeypatch: pytest.MonkeyPatch) -> Rehearse:
    """Writes files and rehearses them: the exit code, and the lines that tell of what is wrong, without the folder.

    `ways` says how they are named: as a folder, each by itself, or as one stream on the standard input.
    """

    def run(way: str, **files: str) -> tuple[int, list[str]]:
        for name, text in files.items():
            path = tmp_path / f"{name.replace('__', '/')}.yaml"
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        places = {
            "folder": ["-f", str(tmp_path)],
            "files": [part for name in files for part in ("-f", str(tmp_path / f"{name}.yaml"))],
            "stream": ["-f", "-"],
        }[way]
        stream = "---\n".join(files.values())
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stream.encode())))
        code = main(["rehearse", "--scenario", "healthy", *places])
        seen = capsys.readouterr()
        lines = (seen.out + seen.err).replace(f"{tmp_path}/", "").splitlines()
        told = ("REFUSED", "UNUSABLE", "PASSED BY", "ok", "metric")
        return code, [line.strip() for line in lines if line.strip().startswith(told)]

    return run


ALL_WAYS = pytest.mark.parametrize("way", ["folder", "files", "stream"])


@ALL_WAYS
def test_a_template_is_found_wherever_it_stands(rehearse: Rehearse, way: str) -> None:
    """In one stream, in a file of its own in a folder, in a file that is named beside."""
    code, lines = rehearse(way, metrics=TEMPLATE.replace("type: prometheus", "type: cloudwatch"), canary=CANARY)

    assert code == 2
    assert len(lines) == 1
    assert FILE_REFUSED in lines[0]


@pytest.mark.parametrize(
    "service", ["gatewayRefs: [{name: public}]", "gateways: [public]", "backendTimeout: 5s", "trafficPolicy: {}"]
)
def test_where_no_provider_is_named_none_refuses_a_field(rehearse: Rehearse, service: str) -> None:
    """The controller's own may be any of them."""
    unnamed = CANARY.replace("  provider: traefik\n", "").replace("{port: 80}", f"{{port: 80, {service}}}")
    code, lines = rehearse("stream", canary=unnamed, metrics=TEMPLATE)
    assert (code, [line for line in lines if line.startswith("REFUSED")]) == (0, [])


@ALL_WAYS
def test_a_query_that_cant_be_filled_in_is_told(rehearse: Rehearse, way: str) -> None:
    """The controller would hold every rollout by it."""
    code, lines = rehearse(way, metrics=TEMPLATE.replace("{{ target }}", "{{ args.name }}"), canary=CANARY)
    assert code == 0
    assert any("metric errors can't be asked for, so that every rollout is held" in line for line in lines)
    assert "metric errors" not in "".join(rehearse(way, metrics=TEMPLATE, canary=CANARY)[1])


@ALL_WAYS
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            ("{matchLabels: {app: shop}}", "{matchLabels: {tier: web}}"),
            "selects its pods by none of the labels app, name",
        ),
        (("- {name: errors", "- {name: errors"), ""),
    ],
)
def test_a_target_is_held_against_the_spec(rehearse: Rehearse, way: str, change: tuple[str, str], words: str) -> None:
    code, lines = rehearse(way, canary=CANARY, deployment=DEPLOYMENT.replace(*change))

    assert code == (2 if words else 0)
    assert all(words in line for line in lines)


def test_a_port_by_a_name_that_no_container_has_is_refused(rehearse: Rehearse) -> None:
    named = CANARY.replace("{port: 80}", "{port: 80, targetPort: web}")
    code, (line,) = rehearse("stream", canary=named, deployment=DEPLOYMENT)

    assert code == 2
    assert line.startswith(
        "REFUSED   standard input:7:23  prod/shop: spec.service.targetPort: no container of shop has a"
    )


INGRESS = """\
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: shop, namespace: prod}
spec:
  rules: [{http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: SERVICE, port: {number: 80}}}}]}}]
"""


@ALL_WAYS
@pytest.mark.parametrize(("service", "code"), [("blog", 2), ("shop", 0)])
def test_the_ingress_that_a_spec_starts_from_is_held_against_it(
    rehearse: Rehearse, way: str, service: str, code: int
) -> None:
    ref = "{apiVersion: networking.k8s.io/v1, kind: Ingress, name: shop}"
    spec = CANARY.replace("provider: traefik", f"provider: nginx\n  ingressRef: {ref}")
    ended, lines = rehearse(way, canary=spec, metrics=TEMPLATE, ingress=INGRESS.replace("SERVICE", service))

    assert ended == code
    assert [line for line in lines if "spec.ingressRef.name: no rule of Ingress shop leads" in line] == lines[
        : bool(code)
    ]


def test_a_number_in_quotes_is_the_name_of_a_port(rehearse: Rehearse) -> None:
    named = CANARY.replace("{port: 80}", '{port: 80, targetPort: "8080"}')
    _, (line,) = rehearse("stream", canary=named, deployment=DEPLOYMENT)

    assert line.endswith("'8080' in quotes is the name of a port, not its number; write 8080 without quotes")


def test_a_port_that_nobody_declares_is_accepted_by_its_number(rehearse: Rehearse) -> None:
    named = CANARY.replace("{port: 80}", "{port: 80, targetPort: 8080}")
    assert rehearse("stream", canary=named, deployment=DEPLOYMENT)[0] == 0


def test_a_namesake_of_the_primary_is_refused(rehearse: Rehearse) -> None:
    stranger = DEPLOYMENT.replace("name: shop, namespace", "name: shop-primary, namespace")
    code, (line,) = rehearse("files", canary=CANARY, deployment=DEPLOYMENT, stranger=stranger)

    assert code == 2
    assert "Deployment shop-primary is not this Canary's, and would be overwritten" in line


TAKEN = "Deployment shop is the target of Canary shop already; name another workload, or delete one of the two Canaries"


def test_two_canaries_of_one_target_are_refused(rehearse: Rehearse) -> None:
    other = CANARY.replace("name: shop, namespace", "name: zoo, namespace").replace("port: 80", "port: 80, name: zoo")
    code, lines = rehearse("files", canary=CANARY, other=other)

    assert code == 2
    assert [line for line in lines if line.startswith("REFUSED")] == [
        f"REFUSED   other.yaml:6:3  prod/zoo: spec.targetRef: {TAKEN}"
    ]


def test_canaries_of_one_target_in_a_folder_may_be_for_several_clusters(rehearse: Rehearse) -> None:
    other = CANARY.replace("name: shop, namespace", "name: zoo, namespace").replace("port: 80", "port: 80, name: zoo")
    assert rehearse("folder", one__canary=CANARY, two__canary=other)[0] == 0
    assert rehearse("folder", both=f"{CANARY}---\n{other}")[0] == 2


def test_patches_of_kustomize_are_no_objects(rehearse: Rehearse) -> None:
    """An overlay says a part of a Deployment: what it doesn't say is not missing."""
    patch = yaml.safe_dump({**yaml.safe_load(DEPLOYMENT), "spec": {"replicas": 9}})
    assert rehearse("folder", canary=CANARY, deployment=DEPLOYMENT, overlay__patch=patch)[0] == 0


def test_of_objects_that_differ_nobody_knows_which_is_meant(rehearse: Rehearse) -> None:
    """Folders for several clusters; the one in the Canary's own file counts."""
    bad = DEPLOYMENT.replace("{matchLabels: {app: shop}}", "{matchLabels: {tier: web}}")
    assert rehearse("folder", canary=CANARY, one__a=bad, two__b=DEPLOYMENT)[0] == 0
    assert rehearse("folder", canary=f"{CANARY}---\n{bad}")[0] == 2


def test_every_fault_is_told_at_its_place(rehearse: Rehearse) -> None:
    wrong = CANARY.replace("threshold: 3", "treshold: 3\n    threshold: 3\n    threshold: 4").replace("80", '"80"')
    code, lines = rehearse("files", canary=wrong)

    assert code == 2
    assert lines == [
        f"REFUSED   canary.yaml:{told}"
        for told in (
            "7:13  prod/shop: spec.service.port: '80' is a string; write a whole number, without quotes",
            "10:5  prod/shop: spec.analysis.treshold: unknown field; did you mean threshold?",
            "12:5  prod/shop: spec.analysis.threshold: is written twice; keep one of the two",
        )
    ]


def test_a_version_that_no_server_knows_is_refused(rehearse: Rehearse) -> None:
    code, (line,) = rehearse("files", canary=CANARY.replace("v1beta1", "v1alpha3"))

    assert code == 2
    words = "no server knows flagger.app/v1alpha3; write flagger.app/v1beta1"
    assert line == f"REFUSED   canary.yaml:1:1  prod/shop: apiVersion: {words}"


def test_what_canaries_use_is_held_against_its_schema_too(rehearse: Rehearse) -> None:
    """An object by itself, which is no Canary that can't run."""
    provider = (
        "apiVersion: flagger.app/v1beta1\nkind: AlertProvider\nmetadata: {name: chat}\nspec: {type: slack, adress: x}\n"
    )
    code, lines = rehearse("folder", canary=CANARY, chat=provider)

    assert code == 2
    assert lines[-1].startswith(
        "REFUSED   chat.yaml:4:21  AlertProvider default/chat: spec.adress: unknown field; did you m"
    )


WEBHOOK = """apiVersion: flagger.app/v1beta1
kind: AlertProvider
metadata: {name: pager}
spec:
  type: webhook
  address: https://pager.example.com/
  body: |
    {"summary": "{{ text }}", "of": "{{ canary }}"}
"""


def test_the_template_of_a_webhook_is_tried(rehearse: Rehearse) -> None:
    code, lines = rehearse("folder", canary=CANARY, pager=WEBHOOK)
    assert code == 2
    assert lines[-1].startswith(
        "REFUSED   pager.yaml:7:3  AlertProvider default/pager: spec.body: line 1, column 37: canary isn't defined; "
    )

    code, lines = rehearse("folder", canary=CANARY, pager=WEBHOOK.replace("{{ canary }}", "{{ name }}"))
    assert code == 0
    assert not any(line.startswith("REFUSED") for line in lines)


HELM = CANARY.replace("name: shop, namespace", "name: {{ .Values.name }}, namespace")
FILL_IN = "it is a template of Helm, to be filled in first: helm template . | canary rehearse -f -"


def test_templates_of_helm_are_passed_by_in_a_folder(rehearse: Rehearse) -> None:
    code, lines = rehearse(
        "folder", canary=CANARY, charts__canary=HELM, charts__more=HELM.replace("{{ .V", "'{{ .V") + "#'"
    )

    assert code == 0
    assert lines[1] == f"PASSED BY charts/canary.yaml: {FILL_IN}"
    assert [line.split()[0] for line in lines] == ["ok", "PASSED", "PASSED"]
    rights = "rules:\n- apiGroups: [flagger.app]\n{{- if .Values.all }}\n  verbs: ['*']\n{{- end }}\n"
    assert rehearse("folder", charts__rights=rights)[1] == lines


@pytest.mark.parametrize("way", ["files", "stream", "folder"])
def test_where_there_is_nothing_but_templates_of_helm_nothing_is_well(rehearse: Rehearse, way: str) -> None:
    code, lines = rehearse(way, canary=HELM)

    assert code == 2
    assert any(FILL_IN in line for line in lines)


def test_texts_of_others_may_speak_of_helm(rehearse: Rehearse) -> None:
    """Such as notes in a ConfigMap that stands in the same stream."""
    notes = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: notes}\ndata: {text: 'write {{ .Values.name }}'}\n"
    assert rehearse("stream", canary=CANARY, notes=notes)[0] == 0


def test_objects_may_be_written_as_json(rehearse: Rehearse) -> None:
    """On one line, too."""
    bad = yaml.safe_load(DEPLOYMENT.replace("{matchLabels: {app: shop}}", "{matchLabels: {tier: web}}"))
    code, lines = rehearse("folder", canary=json.dumps(yaml.safe_load(CANARY)), deployment=json.dumps(bad))
    assert code == 2
    assert lines[0].startswith("REFUSED   canary.yaml:1:")


def test_queries_of_metrics_are_no_templates_of_helm(rehearse: Rehearse) -> None:
    assert rehearse("folder", canary=CANARY, metrics=TEMPLATE)[0] == 0


def faults() -> Iterator[tuple[str, str]]:
    """Texts that no reader of YAML likes, small ones."""
    yield "itself", "kind: Canary\napiVersion: flagger.app/v1beta1\nspec: &spec {spec: *spec}\n"
    yield "number", CANARY.replace("threshold: 3", f"threshold: {'9' * 5000}")
    yield "deep", CANARY.replace("{port: 80}", "{a: " * 150 + "1" + "}" * 150)
    yield "tag", CANARY.replace("threshold: 3", "threshold: !!python/name:os.system x")
    yield "integer", CANARY.replace("threshold: 3", "threshold: !!int x")
    yield "key", CANARY.replace("threshold: 3", "{a: b}: 3")
    yield (
        "many",
        "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
        + "".join(
            f"{name}: &{name} [{', '.join([f'*{before}'] * 10)}]\n"
            for before, name in zip("abcdef", "bcdefg", strict=True)
        )
        + "apiVersion: flagger.app/v1beta1\n",
    )
    yield "list", "- apiVersion: flagger.app/v1beta1\n"
    yield "control", CANARY.replace("threshold: 3", "threshold: \x01")
    yield "nothing", ""


@pytest.mark.parametrize("way", ["files", "stream"])
@pytest.mark.parametrize("text", [text for _, text in faults()], ids=[name for name, _ in faults()])
def test_what_cant_be_read_gets_one_line(rehearse: Rehearse, way: str, text: str) -> None:
    code, lines = rehearse(way, canary=text)

    assert code == 2
    assert len(lines) == 1
    assert lines[0].startswith("UNUSABLE")
    assert len(lines[0]) < 300


def test_huge_numbers_are_refused_with_their_limit(rehearse: Rehearse) -> None:
    code, (line,) = rehearse("files", canary=CANARY.replace("threshold: 3", "threshold: 999999999999"))

    assert code == 2
    assert line.endswith("spec.analysis.threshold: 999999999999 is too much; write 10000 or less")


def test_a_file_that_is_named_twice_is_rehearsed_once(rehearse: Rehearse, tmp_path: Path, capsys: Out) -> None:
    rehearse("files", canary=CANARY)
    assert main(["rehearse", "-f", str(tmp_path), "-f", str(tmp_path / "canary.yaml")]) == 0
    assert capsys.readouterr().out.count("prod/shop") == 1


def test_weights_beside_iterations_are_told_to_be_idle(tmp_path: Path, capsys: Out) -> None:
    made = yaml.safe_load(CANARY)
    made["spec"]["analysis"] |= {"iterations": 4, "maxWeight": 100}
    (tmp_path / "canary.yaml").write_text(yaml.safe_dump(deepcopy(made)))

    assert main(["rehearse", "-f", str(tmp_path / "canary.yaml"), "--scenario", "healthy"]) == 0
    out = capsys.readouterr().out
    assert "4 iterations of 1m" in out
    assert "iterations count here, and stepWeight and maxWeight have no effect" in out
