"""`canary lint` and `canary rehearse` of a CanaryFleet."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from canary.cli.main import main
from canary.cli.rehearse.fleets.stories import STORIES

Out = pytest.CaptureFixture[str]
EXAMPLES = Path(__file__).parents[2] / "examples"
EXAMPLE = (EXAMPLES / "fleet.yaml").read_text(encoding="utf-8")

Run = Callable[..., tuple[int, list[str]]]


@pytest.fixture
def run(tmp_path: Path, capsys: Out, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Writes `fleet.yaml` and runs a command: the exit code, and the lines."""

    def command(*words: str, text: str = EXAMPLE) -> tuple[int, list[str]]:
        (tmp_path / "fleet.yaml").write_text(text, encoding="utf-8")
        monkeypatch.chdir(tmp_path)
        code = main([*words])
        seen = capsys.readouterr()
        return code, (seen.out + seen.err).splitlines()

    return command


def test_lint_has_nothing_to_say_of_a_fleet_that_can_work(run: Run) -> None:
    assert run("lint", "fleet.yaml") == (0, ["1 object, nothing is wrong"])
    assert run("lint", ".") == (0, ["1 object, nothing is wrong"])


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            ("  mode: manage", "  mode: watch"),
            "spec.waves[0].soak: holds nothing up with mode: watch, in which members roll out by themselves; take it o",
        ),
        (
            ("  mode: manage", "  mode: manage\n  jointVerdict:"),
            "spec.jointVerdict: has nothing behind it, so that there is none; write jointVerdict: {}, or take it out",
        ),
    ],
)
def test_what_counts_for_nothing_is_told_by_lint_and_noted_by_a_rehearsal(
    run: Run, change: tuple[str, str], told: str
) -> None:
    """A server takes it, and so does a hub."""
    code, lines = run("lint", "fleet.yaml", text=EXAMPLE.replace(*change))
    assert (code, any(told in each for each in lines)) == (1, True), lines
    code, lines = run("rehearse", "-f", "fleet.yaml", "--scenario", "healthy", text=EXAMPLE.replace(*change))
    assert (code, any(each.startswith(told) for each in lines)) == (0, True), lines


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            ("bake: 24h", "bake: 1h"),
            "fleet.yaml:59:9: CanaryFleet default/fleet-shop: spec.template.spec.analysis.bake: 1h ends",
        ),
        (("onFailure: rollbackAll", "onFailure: panic"), "spec.onFailure: 'panic' is not known; write one of"),
        (
            ("stepWeights", "stepWeigths"),
            "spec.template.spec.analysis.stepWeigths: unknown field; did you mean stepWeights?",
        ),
        (("quorum: 80", "quorum: 800"), "spec.waves[2].quorum: 800 is too much; write 100 or less"),
        (("provider: gatewayapi:v1", "provider: appmesh"), "spec.template.spec.provider: "),
        (("release: v1.4.2", "relase: v1.4.2"), "spec.relase: unknown field; did you mean release?"),
        (("  members:\n", "  members:\n    placement: {name: shop}\n"), "did you mean federatedDeployment?"),
        (
            ("  mode: manage", "  mode: manage\n  namespace: shop"),
            "spec.namespace: unknown field; take it out, or write",
        ),
    ],
)
def test_lint_tells_what_is_wrong_with_its_place(run: Run, change: tuple[str, str], told: str) -> None:
    """In the Canary of the template too, as its controller would."""
    code, lines = run("lint", "fleet.yaml", text=EXAMPLE.replace(*change))
    assert code == 1
    assert any(told in each for each in lines), lines


def test_a_rehearsal_prints_a_timeline_a_scenario_and_how_they_end(run: Run) -> None:
    code, lines = run("rehearse", "-f", "fleet.yaml", "--scenario", "healthy", "bad-in-the-last-wave")
    assert code == 0
    assert lines[0] == "healthy: The release is good in every member."
    assert any(each.split()[:3] == ["33m26s", "Progressing", "2"] for each in lines)
    assert "default/fleet-shop: release v1.4.2 over 6 made-up members" in lines
    healthy, bad = (
        next(each for each in reversed(lines) if each.split()[:1] == [name])
        for name in ("healthy", "bad-in-the-last-wave")
    )
    assert healthy.split()[1:] == ["released", "2h43m43s", "6", "of", "6"]
    assert bad.split()[1:3] == ["rolled", "back"]
    assert "0 of 6" in bad


def test_where_members_are_judged_together_it_is_played_what_none_of_them_finds_by_itself(run: Run) -> None:
    threshold, compared = (
        "{name: request-success-rate, thresholdRange: {min: 99}}",
        "{name: request-success-rate, compareTo: primary}",
    )
    text = EXAMPLE.replace(threshold, compared)
    together = text.replace("  mode: manage", "  mode: manage\n  jointVerdict: {}")
    code, lines = run("rehearse", "-f", "fleet.yaml", "--scenario", "a-little-worse", text=together)
    assert code == 0
    assert lines[0].startswith("a-little-worse: In every member 0.")
    (ending,) = [each for each in lines if each.split()[:1] == ["a-little-worse"]]
    assert ending.split()[1:3] == ["rolled", "back"]
    assert "by the numbers of all together: request-success-rate 0." in ending

    _, lines = run("rehearse", "-f", "fleet.yaml", "--scenario", "a-little-worse", text=text)
    assert not [each for each in lines if "a-little-worse" in each]


def test_a_rehearsal_says_for_whom_a_release_waits(run: Run) -> None:
    text = EXAMPLE.replace("  unreachableDeadline: 30m\n", "").replace("  memberDeadline: 6h\n", "")
    _, lines = run("rehearse", "-f", "fleet.yaml", "--scenario", "member-unreachable", text=text)
    (ending,) = [each for each in lines if each.split()[:1] == ["member-unreachable"]]
    assert "waits for member-1 (unreachable since 2026-01-01T00:02:00Z)" in ending


def test_another_version_than_the_images_say_is_not_begun_and_waited_past(run: Run) -> None:
    """The release waits for the member until its deadline, and then fails."""
    code, lines = run("rehearse", "-f", "fleet.yaml", "--scenario", "another-version")
    assert code == 0
    (ending,) = [each for each in lines if each.split()[:1] == ["another-version"]]
    assert "rolled back" in ending
    assert "not passed within 6h: another revision waits in it than the release's images say" in ending

    unnamed = EXAMPLE.replace("  images:\n    shop: registry.example.com/shop:1.4.2\n", "")
    _, lines = run("rehearse", "-f", "fleet.yaml", "--scenario", "another-version", text=unnamed)
    assert not [each for each in lines if "another-version" in each]


def test_the_members_are_the_clusters_that_a_federated_deployment_beside_it_is_placed_on(run: Run) -> None:
    placed = EXAMPLE.replace(
        "  members:\n", "  members:\n    placement: {federatedDeployment: shop, namespace: shop}\n"
    )
    federated = """
---
apiVersion: types.kubefed.io/v1beta1
kind: FederatedDeployment
metadata: {name: shop, namespace: shop}
spec:
  placement:
    clusters: [{name: cluster1}, {name: cluster2}]
"""
    _, lines = run("rehearse", "-f", "fleet.yaml", "--scenario", "healthy", text=f"{placed}{federated}")
    assert "default/fleet-shop: release v1.4.2 over 2 members" in lines
    assert any(each.startswith("Wave staging: cluster1") for each in lines)

    elsewhere = federated.replace("namespace: shop", "namespace: cart")
    _, lines = run("rehearse", "-f", "fleet.yaml", "--scenario", "healthy", text=f"{placed}{elsewhere}")
    assert "default/fleet-shop: release v1.4.2 over 6 made-up members" in lines
    assert any("no file names the clusters that FederatedDeployment shop/shop is placed on" in each for each in lines)


def test_data_is_for_programs(run: Run) -> None:
    code, lines = run("rehearse", "-f", "fleet.yaml", "--scenario", "healthy", "--members", "12", "-o", "json")
    told = json.loads("\n".join(lines))
    (fleet,) = told["canaryFleets"]
    assert (code, told["summary"]["fleets"], told["canaries"]) == (0, 1, [])
    assert [(each["name"], len(each["members"])) for each in fleet["waves"]] == [
        ("staging", 3),
        ("pilot", 1),
        ("half", 6),
        ("everybody", 2),
    ]
    (scenario,) = fleet["scenarios"]
    assert (scenario["ending"], scenario["serving"]) == ("released", 12)
    assert set(scenario["members"].values()) == {"Passed"}


def test_waves_that_shift_requests_between_clusters_are_played_over_the_members_that_routes_lead_to(run: Run) -> None:
    text = (EXAMPLES / "fleet-by-cluster.yaml").read_text(encoding="utf-8")
    code, lines = run("rehearse", "-f", "fleet.yaml", "--scenario", "healthy", "bad-everywhere", text=text)
    assert code == 0
    assert "default/fleet-by-cluster: release v1.4.2 over 3 members" in lines
    assert any("Member ap gets requests again: 2 of its 20 percent" in each for each in lines)
    healthy, bad = (
        next(each for each in reversed(lines) if each.split()[:1] == [name]) for name in ("healthy", "bad-everywhere")
    )
    assert healthy.split()[1] == "released"
    assert healthy.split()[3:] == ["3", "of", "3"]
    assert "held" in bad
    assert "0 of 3" in bad


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--members", "0"], "--members: 0 is no number of members; write 1 to 200"),
        (["--scenario", "sunny"], "--scenario: there is no scenario 'sunny'"),
        (["--scenario", "slow-leak"], "'slow-leak' is played by Canaries; of a CanaryFleet name one of healthy, bad"),
        (["-o", "svg"], "-o: svg draws Canaries, and there are only CanaryFleets; write table, json or yaml"),
    ],
)
def test_what_can_t_be_rehearsed_is_refused(run: Run, words: list[str], told: str) -> None:
    code, lines = run("rehearse", "-f", "fleet.yaml", *words)
    assert code == 2
    assert any(told in each for each in lines), lines


def test_a_fleet_that_can_t_work_is_refused_with_its_place(run: Run) -> None:
    code, lines = run("rehearse", "-f", "fleet.yaml", text=EXAMPLE.replace("bake: 24h", "bake: 1h"))
    assert code == 2
    assert lines[0].startswith(
        "REFUSED   fleet.yaml:59:9  CanaryFleet default/fleet-shop: spec.template.spec.analysis.bake"
    )


def test_a_scenario_of_fleets_alone_is_no_success_of_a_canary(run: Run, raw: Callable[..., dict[str, Any]]) -> None:
    code, lines = run("rehearse", "-f", "fleet.yaml", "--scenario", "bad-everywhere", text=json.dumps(raw()))
    assert code == 2
    assert any("'bad-everywhere' is played by CanaryFleets; of a Canary name one of healthy" in each for each in lines)


@pytest.mark.parametrize(
    ("scenario", "canary", "fleet"),
    [
        ("bad-everywhere", "no scenario concerns it", "1 scenario"),
        ("slow-leak", "1 scenario", "no scenario concerns it"),
    ],
)
def test_of_a_folder_with_both_kinds_one_that_no_scenario_is_about_is_told_so(
    run: Run, raw: Callable[..., dict[str, Any]], tmp_path: Path, scenario: str, canary: str, fleet: str
) -> None:
    (tmp_path / "app.json").write_text(json.dumps(raw()), encoding="utf-8")
    code, lines = run("rehearse", "-f", ".", "--scenario", scenario)
    assert (code, [each.rpartition("; ")[2] for each in lines[:2]]) == (0, [canary, fleet]), lines


def test_the_scenarios_of_fleets_are_listed_behind_those_of_canaries(run: Run) -> None:
    code, lines = run("rehearse", "--scenarios")
    assert code == 0
    of_fleets = lines[lines.index("of CanaryFleets:") + 1 :]
    assert [each.split()[0] for each in of_fleets] == [story.name for story in STORIES]


def test_the_line_of_a_fleet_says_how_long_a_release_takes_and_not_how_soon_one_is_taken_back(run: Run) -> None:
    _, lines = run("rehearse", "-f", ".", "--scenario", "bad-everywhere", "healthy")
    assert lines[0] == "ok        fleet.yaml  CanaryFleet default/fleet-shop: 2h43m43s; 2 scenarios"
    _, lines = run("rehearse", "-f", ".", "--scenario", "bad-everywhere")
    assert lines[0] == "ok        fleet.yaml  CanaryFleet default/fleet-shop: -; 1 scenario"
    assert lines[1].startswith("0 Canaries and 1 CanaryFleet in ")


def test_members_of_a_fleet_that_watches_roll_out_by_themselves(run: Run) -> None:
    watching = EXAMPLE.replace("mode: manage", "mode: watch")
    code, lines = run("rehearse", "-f", "fleet.yaml", "--scenario", "healthy", text=watching)
    assert code == 0
    (ending,) = [each for each in lines if each.split()[:2] == ["healthy", "released"]]
    assert ending.endswith("6 of 6")
