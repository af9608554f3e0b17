"""`canary lint`: everything that is wrong with files of specs, with file, line and column."""

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from canary.cli.main import main
from tests.unit.cli.specs import CANARY, TEMPLATE
from tests.unit.cli.wrong_input import FILES, GOOD

Out = pytest.CaptureFixture[str]
Lint = Callable[..., tuple[int, list[str]]]

PROVIDER = """\
apiVersion: flagger.app/v1beta1
kind: AlertProvider
metadata: {name: on-call, namespace: prod}
spec: {type: slack, address: "https://hooks.example.com/x"}
"""
SERVICE = "apiVersion: v1\nkind: Service\nmetadata: {name: other}\nspec: {prots: none}\n"


@pytest.fixture
def lint(tmp_path: Path, capsys: Out, monkeypatch: pytest.MonkeyPatch) -> Lint:
    """Writes files and checks their folder: the exit code, and the lines, without the folder."""

    def run(*words: str, **files: str) -> tuple[int, list[str]]:
        for name, text in files.items():
            (tmp_path / f"{name}.yaml").write_text(text)
        monkeypatch.chdir(tmp_path)
        code = main(["lint", *(words or ["."])])
        seen = capsys.readouterr()
        return code, (seen.out + seen.err).splitlines()

    return run


def test_nothing_wrong_is_one_line(lint: Lint) -> None:
    everything = f"{CANARY}---\n{SERVICE}---\n{TEMPLATE}---\n{PROVIDER}"
    assert lint(all=everything) == (0, ["3 objects, nothing is wrong"])


@pytest.mark.parametrize(
    ("text", "change", "told"),
    [
        (
            CANARY,
            ("threshold: 3", "treshold: 3\n    threshold: 3"),
            "10:5: Canary prod/shop: spec.analysis.treshold: unknown field; did you mean threshold?",
        ),
        (
            CANARY,
            ("threshold: 3", "threshold: 3\n    threshold: 4"),
            "11:5: Canary prod/shop: spec.analysis.threshold: is written twice; keep one of the two",
        ),
        (
            CANARY,
            ("port: 80", 'port: "80"'),
            "7:13: Canary prod/shop: spec.service.port: '80' is a string; write a whole number, without quotes",
        ),
        (
            CANARY,
            ("stepWeight: 50", "stepWeight: 500"),
            "11:5: Canary prod/shop: spec.analysis.stepWeight: 500 is no percentage; write 0 to 100",
        ),
        (
            TEMPLATE,
            ("address", "adress"),
            "5:32: MetricTemplate prod/errors: spec.provider.adress: unknown field; did you mean address?",
        ),
        (
            TEMPLATE,
            ("type: prometheus", "type: cloudwatch"),
            "5:3: MetricTemplate prod/errors: spec.provider.region: cloudwatch needs one; write one such as eu-west-1",
        ),
        (
            TEMPLATE,
            ("{{ target }}", "{{ targte }}"),
            "6:3: MetricTemplate prod/errors: spec.query: line 1, column 25: targte isn't defined;",
        ),
        (
            PROVIDER,
            ("type: slack", "type: pager"),
            "4:8: AlertProvider prod/on-call: spec.type: 'pager' is not known; write one of slack,",
        ),
    ],
)
def test_what_is_wrong_is_told_with_its_place(lint: Lint, text: str, change: tuple[str, str], told: str) -> None:
    code, lines = lint(spec=text.replace(*change))
    assert code == 1
    assert lines[0].startswith(f"spec.yaml:{told}")
    assert lines[1:] == ["1 problem in 1 of 1 object"]


def test_all_is_told_at_once_in_the_order_of_the_file(lint: Lint) -> None:
    bad = CANARY.replace("port: 80", "prot: 80, port: x").replace("interval: 1m", "interval: soon")
    code, lines = lint(spec=bad)
    assert code == 1
    assert [line.split(": ")[2] for line in lines[:-1]] == [
        "spec.service.prot",
        "spec.service.port",
        "spec.analysis.interval",
    ]


def test_places_are_those_of_the_file_in_lists_and_later_documents(lint: Lint) -> None:
    items = "".join(f"  {line}\n" for line in TEMPLATE.replace("address", "adress").splitlines())
    listed = f"apiVersion: v1\nkind: List\nitems:\n- {items.removeprefix('  ')}"
    assert lint(spec=f"{SERVICE}---\n{listed}")[1][0].startswith("spec.yaml:13:34: MetricTemplate prod/errors")


def test_the_same_object_twice_in_a_file_is_told(lint: Lint) -> None:
    code, lines = lint(spec=f"{PROVIDER}---\n{PROVIDER}")
    assert code == 1
    assert lines[0] == (
        "spec.yaml:8:12: AlertProvider prod/on-call: metadata.name: AlertProvider on-call is in this file already;"
        " keep one of the two"
    )


def test_a_template_that_a_canary_names_is_looked_at_in_any_file(lint: Lint) -> None:
    """Its own problems are told at both places: at the Canary that can't run, and where they are to be mended."""
    code, lines = lint(canary=CANARY, errors=TEMPLATE.replace("type: prometheus", "type: cloudwatch"))
    assert code == 1
    assert [line.partition(":")[0] for line in lines[:-1]] == ["canary.yaml", "errors.yaml"]


def test_a_question_that_no_provider_can_be_asked_is_told(lint: Lint) -> None:
    asked = CANARY.replace("thresholdRange", "templateVariables: {a: b}, thresholdRange")
    unfilled = TEMPLATE.replace("{{ target }}", "{{ variables.b }}")
    code, lines = lint(all=f"{asked}---\n{unfilled}")
    assert code == 1
    assert lines[0].startswith("all.yaml:13:7: Canary prod/shop: spec.analysis.metrics[0]: it can't be asked for:")


def test_data_is_for_programs(lint: Lint, tmp_path: Path) -> None:
    (tmp_path / "open.yaml").write_text(f"{CANARY}\n  bad: [")
    code, lines = lint("-o", "json", "spec.yaml", "open.yaml", spec=CANARY.replace("stepWeight: 50", "stepWeight: 500"))
    assert code == 2
    told = json.loads("\n".join(lines[:-1]))
    assert told["problems"] == [
        {
            "file": "spec.yaml",
            "line": 11,
            "column": 5,
            "kind": "Canary",
            "namespace": "prod",
            "name": "shop",
            "field": "spec.analysis.stepWeight",
            "message": "500 is no percentage",
            "remedy": "write 0 to 100",
        }
    ]
    assert [(each["file"], each["line"], each["column"]) for each in told["unusable"]] == [("open.yaml", 16, 1)]
    assert told["summary"] == {"objects": 1, "wrong": 1, "problems": 1, "unusable": 1}


def test_files_of_others_are_passed_over(lint: Lint) -> None:
    """As a hook gives them that hands over whatever has changed: also what is a list, such as a patch."""
    assert lint("service.yaml", "patch.yaml", service=SERVICE, patch="- {op: remove, path: /spec}\n") == (0, [])


def test_a_folder_without_anything_to_check_is_a_mistake(lint: Lint) -> None:
    """Else a wrong name would pass for a good spec."""
    code, lines = lint(service=SERVICE)
    assert code == 2
    assert lines == ["canary lint: .: it holds nothing of flagger.app; name another folder"]


def test_a_template_of_helms_is_passed_over_in_a_folder_and_told_where_it_is_named(lint: Lint) -> None:
    helm = CANARY.replace("name: shop", "name: {{ .Values.name }}")
    code, lines = lint(helm=helm, good=TEMPLATE)
    assert (code, lines[0]) == (0, "1 object, nothing is wrong")
    code, lines = lint("helm.yaml")
    assert code == 2
    assert "it is a template of Helm, to be filled in first: helm template . | canary lint -" in lines[0]


def test_a_stream_can_be_checked(lint: Lint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(CANARY.replace("port: 80", "port: x").encode())))
    code, lines = lint("-")
    assert code == 1
    assert lines[0].startswith("standard input:7:13: Canary prod/shop: spec.service.port")


PASSED_OVER = {
    *("empty", "blank lines", "a comment", "a word", "a number", "not a number", "nothing in words", "a list"),
    *("another kind", "HTML", "a folder", "a file", "a map as a key", "the 13th month"),
}


@pytest.mark.parametrize("kind", FILES)
def test_whatever_a_file_holds_is_told_in_lines(kind: str, tmp_path: Path, capsys: Out) -> None:
    code = main(["lint", FILES[kind](tmp_path)])
    seen = capsys.readouterr()
    assert code in ({0, 2} if kind in PASSED_OVER else {1, 2})
    assert "Traceback" not in seen.err
    assert (code == 0) == ((seen.out + seen.err) == "")
    assert len((seen.out + seen.err).splitlines()) <= 12


def test_the_good_spec_of_these_tests_is_good(tmp_path: Path, capsys: Out) -> None:
    path = tmp_path / "good.yaml"
    path.write_text(GOOD)
    assert main(["lint", str(path)]) == 0
    assert capsys.readouterr().out == "1 object, nothing is wrong\n"


def test_the_words_are_those_of_a_rehearsal(tmp_path: Path, capsys: Out) -> None:
    """Both ask the one list of rules."""
    path = tmp_path / "bad.yaml"
    path.write_text(CANARY.replace("stepWeight: 50", "stepWeight: 500").replace("port: 80", "port: 80, prot: 1"))
    main(["rehearse", "-f", str(path)])
    seen = capsys.readouterr()
    rehearsed = [line.partition("prod/shop: ")[2] for line in (seen.out + seen.err).splitlines() if "REFUSED" in line]
    main(["lint", str(path)])
    linted = [line.partition("prod/shop: ")[2] for line in capsys.readouterr().out.splitlines()[:-1]]
    assert linted == rehearsed
    assert len(linted) == 2


@pytest.mark.parametrize(
    ("where", "found"),
    [
        ("app: shop", "app: null"),
        ("name: web", "name: []"),
        ("containerPort: 80", "containerPort: null"),
        ("containerPort: 80", "containerPort: eighty"),
        ("name: http", "name: [http]"),
        ("protocol: TCP", "protocol: []"),
        ("port: 81", "port: [81]"),
    ],
)
def test_objects_of_others_that_no_api_server_would_take_are_no_matter_of_the_canary(
    lint: Lint, where: str, found: str
) -> None:
    pods = "containers: [{name: web, ports: [{containerPort: 80, name: http, protocol: TCP}]}]"
    template = f"{{metadata: {{labels: {{app: shop}}}}, spec: {{{pods}}}}}"
    target = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: app}\n"
    target += f"spec: {{selector: {{matchLabels: {{app: shop}}}}, template: {template}}}\n"
    service = "apiVersion: v1\nkind: Service\nmetadata: {name: app}\nspec: {selector: {app: x}, ports: [{port: 81}]}\n"
    others = f"{target}---\n{service}"
    assert where in others
    assert lint(canary=GOOD, others=others.replace(where, found))[0] in {0, 1}
