import shlex
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.hey.flags import FlagError, HelpAsked, Plan, parse

URL = "http://podinfo-canary.test:9898/"


def plan(line: str) -> Plan:
    return parse([*shlex.split(line), URL])


def test_without_flags_it_is_200_requests_by_50_workers() -> None:
    assert plan("") == Plan(url=URL, requests=200, duration=None, workers=50, timeout=timedelta(seconds=20))


def test_the_command_of_the_article_is_understood() -> None:
    found = plan("-z 1m -q 10 -c 2")

    assert (found.duration, found.requests) == (timedelta(minutes=1), None)
    assert (found.rate, found.workers) == (10, 2)


@pytest.mark.parametrize("line", ["-n 100", "-n=100", "--n 100", "--n=100"])
def test_flags_are_written_as_go_allows(line: str) -> None:
    assert plan(line).requests == 100


def test_a_duration_leaves_the_number_of_requests_aside() -> None:
    assert plan("-n 1 -c 5 -z 2s").requests is None


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("-m post", Plan(url=URL, method="POST")),
        ("-d '{test: 2}'", Plan(url=URL, body=b"{test: 2}")),
        ("-D /file", Plan(url=URL, body_file="/file")),
        ("-H 'A: b' -H 'Cookie: x=y: z'", Plan(url=URL, headers=(("A", "b"), ("Cookie", "x=y: z")))),
        (
            "-A a/b -T c/d -U me",
            Plan(url=URL, headers=(("Accept", "a/b"), ("Content-Type", "c/d"), ("User-Agent", "me"))),
        ),
        ("-T a/b -T c/d", Plan(url=URL, headers=(("Content-Type", "c/d"),))),
        ("-t 0", Plan(url=URL, timeout=None)),
        ("-t 3", Plan(url=URL, timeout=timedelta(seconds=3))),
        ("-a me:a:b", Plan(url=URL, auth=("me", "a:b"))),
        ("-x proxy:3128", Plan(url=URL, proxy="http://proxy:3128")),
        ("-h2", Plan(url=URL, http2=True)),
        ("-h2=false", Plan(url=URL)),
        ("-host app.example.com", Plan(url=URL, host="app.example.com")),
        (
            "-disable-compression -disable-keepalive -disable-redirects",
            Plan(url=URL, compression=False, keepalive=False, redirects=False),
        ),
        ("-cpus 4", Plan(url=URL)),
    ],
)
def test_every_flag_says_one_thing(line: str, expected: Plan) -> None:
    assert plan(line) == expected


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("-nosuch", "not defined: -nosuch"),
        ("-n 0", "invalid value '0' for flag -n"),
        ("-n -5", "invalid value '-5'"),
        ("-c 99999999", "a number from 1 to"),
        ("-n 10", "-n cannot be less than -c"),
        ("-q x", "for flag -q"),
        ("-q inf", "for flag -q"),
        ("-q nan", "for flag -q"),
        ("-z soon", "not a duration"),
        ("-z -1s", "not a duration"),
        ("-t 1s", "whole number of seconds"),
        ("-H nonsense", "Name: value"),
        ("-a nobody", "user:password"),
        ("-h2=perhaps", "boolean"),
        ("-o csv", "not defined: -o"),
    ],
)
def test_a_flag_that_makes_no_sense_is_refused_by_name(line: str, words: str) -> None:
    with pytest.raises(FlagError) as refused:
        plan(line)

    assert words in str(refused.value)


@pytest.mark.parametrize("line", ["", "-n", "http://a/ -n 300", "podinfo:9898", "ftp://a/", "http://", "http://[1"])
def test_the_address_comes_last_and_is_one(line: str) -> None:
    with pytest.raises(FlagError):
        parse(shlex.split(line))


def test_help_can_be_asked_for() -> None:
    with pytest.raises(HelpAsked):
        parse(["-h"])


@given(st.lists(st.text() | st.sampled_from(["-n", "-c", "-z", "-q", "-H", "1", "1s", "http://a/", "-h2", "--"])))
def test_any_command_line_is_a_plan_or_refused(arguments: list[str]) -> None:
    try:
        found = parse(arguments)
    except (FlagError, HelpAsked):
        return

    assert (found.requests is None) != (found.duration is None)
