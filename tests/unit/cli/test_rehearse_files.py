"""Files that people write: what is wrong in them is named, with the field and the remedy."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from canary.cli.rehearse.builtin import STORIES
from canary.cli.rehearse.expectations import Expectations, expectations_in, stories_in
from canary.cli.rehearse.reading import UnreadableError, documents, documents_of, model_of
from canary.cli.rehearse.specs import Refusal, Source, Spec, files_in, specs_in, stream_of
from canary.cli.rehearse.story import Story
from canary.controller.lookup import Gap
from canary.kube.types import METRIC_TEMPLATE


def _problems(document: object, folder: Path) -> str:
    path = folder / "story.yaml"
    path.write_text(yaml.safe_dump(document))
    with pytest.raises(UnreadableError) as raised:
        stories_in(path)
    return "\n".join(raised.value.problems)


@pytest.mark.parametrize(
    ("story", "problem"),
    [
        ({}, "name: is missing; set name"),
        ({"name": "Bad Name"}, "name: 'Bad Name' is no name; write lower-case letters, digits and dashes"),
        ({"name": "a", "hook": []}, "hook: is not known; did you mean hooks?"),
        (
            {"name": "a", "versions": {"new": {"stretches": [{"error": 5}]}}},
            "versions.new.stretches[0].error: is not known; did you mean errors?",
        ),
        (
            {"name": "a", "versions": {"new": {"stretches": [{"errors": 101}]}}},
            "versions.new.stretches[0].errors: 101 can't be read: input should be less than or equal to 100; write",
        ),
        (
            {"name": "a", "versions": {"new": {"stretches": [{"after": "soon"}]}}},
            "stretches[0].after: 'soon' can't be read; write a duration such as 30s, or a part of the planned roll",
        ),
        (
            {"name": "a", "versions": {"new": {"stretches": [{"latency": "slow"}]}}},
            "stretches[0].latency: 'slow' can't be read; write a duration such as 800ms, or a factor such as 2x",
        ),
        (
            {"name": "a", "versions": {"new": {"readyAfter": "no"}}},
            "versions.new.readyAfter: 'no' can't be read; write a duration such as 30s, 1m30s, 500ms or 1.5h, or never",
        ),
        (
            {"name": "a", "versions": {"current": {}}},
            "the document: versions.current is what serves already; describe another version, such as new",
        ),
        (
            {"name": "a", "changes": [{"at": "1m"}]},
            "changes[0]: says what happens not exactly once; write one of deploy, kill, route, suspend, retry, pause",
        ),
        (
            {"name": "a", "changes": [{"at": "-1m", "suspend": True}]},
            "changes[0].at: '-1m' is before the new version is deployed; write 0s or more",
        ),
        (
            {"name": "a", "changes": [{"at": "120%", "suspend": True}]},
            "changes[0].at: '120%' is no part of a rollout; write 0% to 100%",
        ),
        (
            {"name": "a", "changes": [{"at": "1m", "kill": "everybody"}]},
            "changes[0].kill: 'everybody' is not known; write one of 'primary' or 'canary'",
        ),
        ({"name": "a", "hooks": [{"type": "rollout"}]}, "hooks[0].approves: is missing; set hooks[0].approves"),
    ],
)
def test_what_is_wrong_in_a_scenario_is_named_with_its_remedy(
    story: dict[str, Any], problem: str, tmp_path: Path
) -> None:
    assert problem in _problems(story, tmp_path)


def test_a_file_may_hold_several_scenarios(tmp_path: Path) -> None:
    path = tmp_path / "stories.yaml"
    path.write_text("name: one\n---\n---\nname: two\n")

    assert [story.name for story in stories_in(path)] == ["one", "two"]


def test_a_file_without_scenarios_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "stories.yaml"
    path.write_text("---\n")

    with pytest.raises(UnreadableError, match="it holds no scenario; write one, with a name"):
        stories_in(path)


@pytest.mark.parametrize("story", STORIES, ids=lambda story: str(story.name))
def test_stories_of_the_program_can_be_written_by_hand(story: Story) -> None:
    """They are told in the words that one's own are told in."""
    written = story.model_dump(mode="json", by_alias=True, exclude_unset=True)

    assert model_of(Story, written) == story


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: 1\nb: [", r"line \d, column \d"),
        ("- 1\n", "document 1 is a list; write a map of fields"),
        ("a: \x00", "it is no YAML"),
    ],
)
def test_what_is_no_yaml_is_named_with_its_place(text: str, problem: str) -> None:
    with pytest.raises(UnreadableError, match=problem):
        list(documents(text, "file"))


def test_a_stream_without_end_is_not_read_to_its_end() -> None:
    assert not list(documents("---\n" * 10_000, "file"))
    with pytest.raises(UnreadableError, match="more than 10,000 documents"):
        list(documents("---\n" * 200_000, "file"))


def test_lists_of_kubernetes_are_taken_apart() -> None:
    text = "kind: List\napiVersion: v1\nitems: [{kind: A}, {kind: B}]\n---\nkind: C\n"

    assert [(place, raw["kind"]) for place, raw in documents(text, "file")] == [(1, "A"), (1, "B"), (2, "C")]


ANALYSIS_IS_MISSING = (
    "spec.analysis: is missing; set it, with interval, threshold and stepWeight; or skipAnalysis: true"
)


def specs(text: str) -> tuple[Spec | Refusal, ...]:
    """The specs of one file."""
    source = Source("file", documents_of(text, "file"))
    return tuple(specs_in(source, stream_of([source])))


CANARY = """
apiVersion: flagger.app/v1beta1
kind: Canary
metadata: {name: app, annotations: {flagger.app/retry: again}, finalizers: [finalizer.flagger.app]}
spec:
  targetRef: {apiVersion: apps/v1, kind: Deployment, name: app}
status: {phase: Failed}
"""
TEMPLATE = """
apiVersion: flagger.app/v1beta1
kind: MetricTemplate
metadata: {name: errors}
spec: {provider: {type: prometheus}, query: up}
"""


def test_a_stream_may_hold_other_objects_and_templates() -> None:
    """Others are passed over; templates go to the Canaries of the same stream."""
    (spec,) = specs(f"kind: Deployment\n---{CANARY}---{TEMPLATE}")

    assert isinstance(spec, Spec)
    assert spec.canary.key == "default/app"
    template = spec.beside.find(METRIC_TEMPLATE, "default", "errors")
    assert isinstance(template, dict)
    assert template["spec"]["query"] == "up"
    assert spec.beside.find(METRIC_TEMPLATE, "default", "others") is Gap.UNKNOWN


def test_what_a_cluster_wrote_into_a_file_is_of_no_interest() -> None:
    (spec,) = specs(CANARY)

    assert isinstance(spec, Spec)
    assert spec.canary.status.phase == ""
    assert (spec.canary.metadata.finalizers, spec.canary.metadata.annotations) == ((), {})


def test_a_canary_that_cannot_be_read_is_a_refusal() -> None:
    (refusal,) = specs(CANARY.replace("targetRef:", "target:"))

    assert isinstance(refusal, Refusal)
    assert (refusal.name, [str(problem) for problem in refusal.problems]) == (
        "default/app",
        [
            "spec.target: unknown field; did you mean targetRef?",
            ANALYSIS_IS_MISSING,
            "spec.targetRef: is missing; set spec.targetRef",
        ],
    )


def test_a_template_that_no_server_takes_is_a_refusal_of_its_own() -> None:
    _, refusal = specs(CANARY + "---" + TEMPLATE.replace("query: up", "qeury: up"))

    assert isinstance(refusal, Refusal)
    assert (refusal.kind, refusal.name) == ("MetricTemplate", "default/errors")
    assert [str(problem) for problem in refusal.problems] == [
        "spec.qeury: unknown field; did you mean query?",
        "spec.query: is missing; set spec.query",
    ]


def test_kinds_of_other_groups_are_passed_over() -> None:
    assert specs("apiVersion: example.com/v1\nkind: Canary\nmetadata: {name: a}\n") == ()


def test_hidden_folders_and_expectations_are_no_specs(tmp_path: Path) -> None:
    for name in ("b.yaml", "a.yml", "c.json", "a.rehearsal.yaml", "notes.md", ".git/d.yaml", "deep/e.yaml"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("")

    assert [str(path.relative_to(tmp_path)) for path in files_in(tmp_path)] == [
        "a.yml", "b.yaml", "c.json", "deep/e.yaml"
    ]  # fmt: skip


def test_expectations_speak_of_one_canary_or_of_all() -> None:
    (spec,) = specs(CANARY)
    assert isinstance(spec, Spec)
    said = {name: Expectations(canary=name, scenarios={}) for name in ("", "app", "default/app", "prod/app", "other")}

    speaking = [name for name, each in said.items() if each.speaks_of(spec.canary)]
    assert speaking == ["", "app", "default/app"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("scenarios: {heathy: {}}", r"scenarios.heathy: there is no such scenario; tell it under scenario, .* healthy"),
        ("scenarios: {healthy: {ends: promoted}}", "scenarios.healthy.ends: is not known"),
        ("scenarios: {healthy: {ending: good}}", "scenarios.healthy.ending: 'good' is not known; write one of 'prom"),
        ("scenarios: {healthy: {maxDuration: 5}}", "scenarios.healthy.maxDuration: 5 is not a duration; write a dur"),
        ("scenarios: {healthy: {maxBadRequests: 2000}}", "scenarios.healthy.maxBadRequests: 2000 can't be read"),
        ("scenarios: {own: {scenario: {changes: 3}}}", r"scenarios.own.scenario.changes: 3 can't be read: .* list"),
        ("{}", "scenarios: is missing; set scenarios"),
        ("{scenarios: {}, scenarioFiles: [gone.yaml]}", "it can't be read: No such file"),
    ],
)
def test_what_is_wrong_in_expectations_is_named(text: str, problem: str, tmp_path: Path) -> None:
    path = tmp_path / "app.rehearsal.yaml"
    path.write_text(text)

    with pytest.raises(UnreadableError, match=problem):
        expectations_in(path, {})


def test_expectations_find_scenarios_wherever_they_are_told(tmp_path: Path) -> None:
    """In the program, in place, in a file beside, on the command line."""
    (tmp_path / "more.yaml").write_text("name: filed\n")
    path = tmp_path / "app.rehearsal.yaml"
    path.write_text(
        "{scenarioFiles: [more.yaml], scenarios: {healthy: , filed: {}, given: {}, told: {scenario: {limit: 1h}}}}"
    )
    ((_, stories),) = expectations_in(path, {"given": Story(name="given")})

    assert [*stories] == ["healthy", "filed", "given", "told"]
    assert stories["told"].name == "told"
