"""Builds of Jenkins: how one is found again, from what the queue and the job tell."""

from dataclasses import replace

import pytest

from canary.gates import jenkins
from canary.gates.base import State
from canary.gates.registry import building, problems
from canary.kube.types import Json
from tests.unit.gates.test_base import canary, moment

GATE: Json = {"jenkins": {"url": "https://ci.test/job/team/job/smoke/"}}
OURS, OLDER, OTHERS = "prod/shop/rollout/smoke/m2.a", "prod/shop/rollout/smoke/m1.a", "prod/shop/rollout/load/m1.a"


def told(value: str, **fields: object) -> Json:
    parameters = [{"name": "TAG", "value": "1"}, {"name": "RUN", "value": value}]
    return {"actions": [{}, {"parameters": parameters}, {"causes": []}], **fields}


def build(value: str, number: int, result: str | None = None) -> Json:
    url = f"https://ci.test/job/team/job/smoke/{number}/"
    return told(value, number=number, url=url, building=result is None, result=result)


@pytest.mark.parametrize(
    ("queue", "builds", "state", "words"),
    [
        ([], [], None, ""),
        ([told(OURS, id=7, why="In the quiet period")], [], State.WAITING, "queue: In the quiet period"),
        ([], [build(OURS, 3)], State.WAITING, "build #3 to end (https://ci.test/job/team/job/smoke/3/console)"),
        ([], [build(OURS, 3, "SUCCESS")], State.PASSED, "build #3 has succeeded"),
        ([], [build(OURS, 3, "UNSTABLE")], State.FAILED, "build #3 has ended as UNSTABLE"),
        ([], [build(OTHERS, 3, "SUCCESS"), build(OLDER, 2, "SUCCESS")], None, ""),
        ([told(OURS, id=7)], [build(OURS, 3, "FAILURE")], State.FAILED, "#3"),
        ([{"id": 1}, told("", id=2)], [{"number": 1, "actions": None}], None, ""),
    ],
)
def test_a_build_is_known_by_its_parameter(
    queue: list[Json], builds: list[Json], state: State | None, words: str
) -> None:
    said = jenkins.found(OURS, "RUN", {"items": queue}, {"builds": builds}).said
    assert (said.state if said else None) is state
    assert words in (said.words if said else "")


def test_what_runs_for_an_older_moment_of_the_same_webhook_is_ended_and_nothing_else() -> None:
    queue = {"items": [told(OLDER, id=7), told(OTHERS, id=8), told("by hand", id=9)]}
    job = {"builds": [build(OLDER, 3), build(OTHERS, 2), build(OLDER, 1, "FAILURE"), build("", 4)]}
    over = jenkins.found(OURS, "RUN", queue, job).over
    assert over == ("/queue/cancelItem?id=7", "https://ci.test/job/team/job/smoke/3/stop")
    assert jenkins.ends({OTHERS}, "RUN", queue, job) == (
        "/queue/cancelItem?id=8",
        "https://ci.test/job/team/job/smoke/2/stop",
    )


def test_what_another_webhook_or_cluster_waits_for_is_not_ended() -> None:
    """A name may have slashes, and clusters that have a Canary of the same name may share a job."""
    ours, longer = (moment(GATE, "m2"), moment(GATE, "m1", name="smoke/more"))
    there = ours.canary.replace(metadata=ours.canary.metadata.replace(uid="u2"))
    elsewhere = replace(ours, canary=there)
    job = {"builds": [build(jenkins.value_of(each), number) for number, each in enumerate((longer, elsewhere), 1)]}
    assert jenkins.found(jenkins.value_of(ours), "RUN", {}, job).over == ()
    assert not jenkins.is_of(jenkins.value_of(longer), jenkins.whose(ours.canary, ours.hook))


def test_of_a_queue_of_any_length_some_are_ended_at_a_look_and_it_takes_no_search_for_each() -> None:
    asked: list[str] = []

    class Counted(dict[str, object]):
        def get(self, key: str, default: object = None) -> object:
            asked.append(key)
            return super().get(key, default)

    queue = {"items": [Counted(told(f"prod/shop/rollout/smoke/m{number}.a", id=number)) for number in range(200)]}
    assert len(jenkins.found("prod/shop/rollout/smoke/now.a", "RUN", queue, {}).over) == 20
    assert len(asked) <= 4 * 200


@pytest.mark.parametrize(
    ("url", "root"),
    [
        ("https://ci.test/job/smoke/", "https://ci.test"),
        ("https://ci.test/jenkins/job/team/job/smoke", "https://ci.test/jenkins"),
        ("http://job/job/smoke", "http://job"),
    ],
)
def test_jenkins_itself_is_at_the_host_of_the_job_whatever_that_is_called(url: str, root: str) -> None:
    assert jenkins.root(url) == root
    assert jenkins.queue_url(url).startswith(f"{root}/queue/")


def test_what_a_build_is_known_by_is_the_same_after_a_crash_and_tells_its_moment() -> None:
    value = jenkins.value_of(moment(GATE, "m1"))
    assert value == jenkins.value_of(moment(GATE, "m1"))
    assert value.startswith("prod/shop/rollout/smoke/")
    assert jenkins.moment_of(value) == "m1"
    assert jenkins.value_of(moment({"jenkins": {**GATE["jenkins"], "parameters": {"a": "b"}}}, "m1")) != value


def test_a_parameter_whose_name_is_no_text_is_none() -> None:
    job = {"property": [{"parameterDefinitions": [{"name": ["RUN"]}, {"name": "TAG"}]}]}
    assert "no parameter RUN" in jenkins.unstartable("RUN", job)


def test_a_build_that_a_status_waits_for_is_running() -> None:
    check = {"name": "smoke", "verdict": "NoData", "query": OURS}
    stored = canary(GATE).status.model_validate({"checks": [check]})
    assert building(canary(GATE).replace(status=stored)) == {f"builds/{OURS}": "m2"}
    assert building(canary({"job": {}}).replace(status=stored)) == {}
    assert building(canary(GATE)) == {}


@pytest.mark.parametrize(
    ("gate", "field"),
    [
        ({"url": "ci"}, "url"),
        ({"url": "https://ci.test/"}, "url"),
        ({"url": "https://ci.test/job/smoke#latest"}, "url"),
        ({"secretRef": {"name": ""}}, "secretRef.name"),
        ({"parameters": {"CANARY_RUN": "x"}}, "parameters.CANARY_RUN"),
        ({"parameters": {"A": "{{ x }}"}}, "parameters.A"),
    ],
)
def test_what_cant_be_is_told_with_its_field(gate: Json, field: str) -> None:
    found = problems(canary({"jenkins": {**GATE["jenkins"], **gate}}))
    assert [each.field for each in found] == [f"spec.analysis.webhooks[0].gate.jenkins.{field}"]
