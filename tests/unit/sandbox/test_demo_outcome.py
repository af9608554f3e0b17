"""How the demonstration ended."""

from dataclasses import replace
from pathlib import Path

from canary.sandbox.demo.load import Load
from canary.sandbox.demo.outcome import Ending, Outcome, everybody, report
from canary.sandbox.traffic import Answer

GOOD = Ending("1.1.0", "Succeeded", 18.4, Load(727, 0, 0.02), 50)
BAD = Ending("1.2.0", "Failed", 17.0, Load(632, 34, 0.2), 40, "failed checks threshold reached 2", 90)


def test_it_went_well_where_the_good_one_was_promoted_without_a_failed_request_and_the_bad_one_rolled_back() -> None:
    assert Outcome(GOOD, BAD).problems == ()


def test_a_failed_request_in_the_good_rollout_is_a_problem() -> None:
    assert Outcome(replace(GOOD, load=Load(726, 1)), BAD).problems == ("1 requests failed while 1.1.0 rolled out",)


def test_a_good_version_that_is_rolled_back_is_a_problem() -> None:
    problems = Outcome(replace(GOOD, phase="Failed", reason="no data"), BAD).problems
    assert problems == ("1.1.0 was not promoted: no data",)


def test_a_bad_version_that_is_promoted_is_a_problem() -> None:
    assert Outcome(GOOD, replace(BAD, phase="Succeeded", reason="")).problems == ("1.2.0 was not rolled back: ",)


def test_for_everybody_a_version_fails_as_often_as_for_those_that_it_had_from_its_first_failure_on() -> None:
    healthy = [Answer(float(number), 0.1, 200, version) for number in range(10) for version in ("1", "2")]
    failing = [Answer(10.0 + number, 0.1, 200 if number % 4 else 500, "2") for number in range(20)]
    others = [Answer(10.0 + number, 0.1, 200, "1") for number in range(20)]
    assert everybody("2", [*healthy, *failing, *others]) == 10, "a quarter of 40"
    assert everybody("1", [*healthy, *failing, *others]) == 0


def test_the_report_says_what_happened_where_the_pictures_are_and_what_to_type_next() -> None:
    text = report(Outcome(GOOD, BAD), [Path("out/demo/demo.svg")], ".venv/bin/canary")
    assert text[:6] == [
        "What happened",
        "  1.1.0 was promoted after 18 s: 727 requests served, 0 failed",
        "  1.2.0 was rolled back after 17 s: 632 requests served, 34 failed (5.1 %)",
        "    why: failed checks threshold reached 2",
        "    no more than 40 % of the requests were led to it",
        "    with 1.2.0 for everybody at once, about 90 would have failed",
    ]
    assert "  out/demo/demo.svg" in text
    assert "  .venv/bin/canary sandbox example | kubectl apply -f -" in text


def test_the_report_says_what_is_not_as_it_should_be() -> None:
    text = report(Outcome(replace(GOOD, load=Load(726, 1)), BAD), [], "canary")
    assert "  Not as it should be: 1 requests failed while 1.1.0 rolled out" in text
