import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.command import Step, parse
from loadtest.programs import DEFAULT, STARTERS, TEXT_TOOLS, Programs
from loadtest.tasks import BadCallError, Call, Powers, Refused, Task, one, plan, read_call

EVERYTHING = Powers(Programs(frozenset({*DEFAULT, "helm", "kubectl"}), which=lambda name: f"/bin/{name}"))
NOTHING = Powers(Programs(which=lambda name: None))
SHELL = Powers(Programs(None, which=lambda name: f"/bin/{name}"), may_use_shell=True)


def call(hook: str = "", **metadata: str) -> Call:
    return Call("podinfo", "test", hook, metadata)


def planned(call: Call, powers: Powers = EVERYTHING) -> Task:
    task = plan(call, powers)
    assert isinstance(task, Task), task
    return task


def refusal(call: Call, powers: Powers = EVERYTHING) -> str:
    refused = plan(call, powers)
    assert isinstance(refused, Refused), refused
    return refused.reason


# --- Calls -----------------------------------------------------------------------------------------------------


def test_a_payload_as_flagger_sends_it_is_read() -> None:
    body = {
        "name": "podinfo",
        "namespace": "test",
        "phase": "Progressing",
        "checksum": "85d557f47b",
        "metadata": {"cmd": "true"},
    }

    assert read_call(json.dumps(body).encode()) == Call(
        "podinfo", "test", "", {"cmd": "true"}, phase="Progressing", checksum="85d557f47b"
    )


@pytest.mark.parametrize("body", [b"{}", b'{"metadata": null, "name": null}'])
def test_what_a_caller_leaves_out_is_empty(body: bytes) -> None:
    assert read_call(body) == Call()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'"x"',
        b"\xff\xfe",
        b'{"name": 1}',
        b'{"type": ["x"]}',
        b'{"metadata": []  , "name": "a", "metadata": [1]}',
        b'{"metadata": {"cmd": 1}}',
        b"[" * 100_000,
    ],
)
def test_a_body_of_another_form_is_refused(body: bytes) -> None:
    with pytest.raises(BadCallError):
        read_call(body)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["name", "type", "metadata", "cmd"]), inner),
)


@given(JSON)
def test_any_json_is_read_or_refused(body: Any) -> None:
    try:
        read = read_call(json.dumps(body).encode())
    except BadCallError:
        return

    assert isinstance(plan(read, EVERYTHING), Task | Refused)


# --- Tasks -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hook", "type_", "waits"),
    [
        ("pre-rollout", "cmd", True),
        ("confirm-rollout", "cmd", True),
        ("confirm-traffic-increase", "cmd", True),
        ("confirm-promotion", "cmd", True),
        ("rollback", "cmd", True),
        ("rollout", "cmd", False),
        ("post-rollout", "cmd", False),
        ("event", "cmd", False),
        ("", "cmd", False),
        ("rollout", "bash", True),
        ("rollout", "load", False),
        ("", "load", False),
        ("pre-rollout", "load", True),
        ("", "bash", True),
        ("", "helm", True),
        ("", "kubectl", True),
    ],
)
def test_the_caller_waits_where_the_answer_moves_a_rollout(hook: str, type_: str, *, waits: bool) -> None:
    cmd = "--rate 1 --duration 1s http://a/" if type_ == "load" else "test podinfo"
    assert planned(call(hook, type=type_, cmd=cmd)).waits is waits


@pytest.mark.parametrize(
    ("hook", "phase", "bound"),
    [
        ("rollout", "Progressing", True),
        ("", "Progressing", True),
        ("", "", True),
        ("rollout", "Succeeded", False),
        ("post-rollout", "Succeeded", False),
        ("event", "Progressing", False),
        ("", "Failed", False),
        ("pre-rollout", "Progressing", False),
    ],
)
def test_a_load_belongs_to_its_rollout_and_nothing_else_does(hook: str, phase: str, *, bound: bool) -> None:
    asked = replace(call(hook, cmd="true"), phase=phase, checksum="abc")

    assert (planned(asked).bound, planned(asked).rollout) == (bound, "abc")


@pytest.mark.parametrize(
    ("hook", "phase", "ends"),
    [
        ("event", "Succeeded", True),
        ("event", "Failed", True),
        ("post-rollout", "Failed", True),
        ("", "Terminated", True),
        ("event", "Progressing", False),
        ("event", "Promoting", False),
        ("rollout", "Succeeded", False),
        ("rollback", "Failed", False),
    ],
)
def test_a_rollout_has_ended_when_a_hook_tells_so(hook: str, phase: str, *, ends: bool) -> None:
    assert Call("a", "b", hook, {}, phase=phase).ends_rollout is ends


def test_hooks_that_tell_need_no_task_and_may_have_one() -> None:
    assert Call("a", "b", "event", {"eventMessage": "x"}).tells
    assert Call("a", "b", "post-rollout").tells
    assert Call("a", "b", "", {"eventMessage": "x"}).tells
    assert not Call("a", "b", "event", {"cmd": "true", "eventMessage": "x"}).tells
    assert not Call("a", "b", "rollout").tells


def test_a_task_without_a_type_is_a_command() -> None:
    task = planned(call(cmd="hey -z 1m http://podinfo-canary.test:9898/"))

    assert task.type == "cmd"
    assert task.canary == "podinfo.test"
    assert task.script == parse("hey -z 1m http://podinfo-canary.test:9898/")


@pytest.mark.parametrize("word", ["true", "True", "1", "t"])
def test_settings_of_output_are_read_as_go_reads_them(word: str) -> None:
    task = planned(call(cmd="true", logCmdOutput=word, returnCmdOutput="no"))

    assert task.logs_output
    assert not task.returns_output


def test_tasks_are_the_same_when_canary_type_and_command_are() -> None:
    first = planned(call("rollout", cmd="true", logCmdOutput="true"))

    assert first.key == planned(call("", cmd="true")).key
    assert first.key != planned(call("", cmd="false")).key
    assert first.key != planned(call("pre-rollout", cmd="true")).key


@pytest.mark.parametrize("type_", ["helm", "helmv3"])
def test_helm_gets_the_arguments(type_: str) -> None:
    task = planned(call(type=type_, cmd="test podinfo --timeout '3m' -n test"))

    assert task.script == one(("helm", "test", "podinfo", "--timeout", "3m", "-n", "test"))


def test_a_load_is_made_by_our_own_generator_though_no_program_may_be_run() -> None:
    task = planned(call("rollout", type="load", cmd="--rate 50 --duration 1m 'http://app-canary.test/?a&b'"), NOTHING)

    (step,) = task.script
    assert isinstance(step, Step)
    assert step.pipeline[0].argv[3:] == (
        "loadtest.load", "--rate", "50", "--duration", "1m", "http://app-canary.test/?a&b"
    )  # fmt: skip
    assert task.bound


@pytest.mark.parametrize(
    ("cmd", "words"),
    [
        ("--rate 50 http://a/", "--duration"),
        ("http://a/ | grep x", "one load"),
        ("A=1 --rate 1 --duration 1s http://a/", "one load"),
        ("--rate $RATE http://a/", "variable"),
    ],
)
def test_a_load_with_wrong_arguments_is_refused_at_the_call(cmd: str, words: str) -> None:
    assert words in refusal(call("rollout", type="load", cmd=cmd))


def test_arguments_with_operators_are_refused() -> None:
    assert "arguments of one helm command" in refusal(call(type="helm", cmd="test a && rm -r b"))


def test_a_command_for_bash_that_needs_no_shell_is_run_without_one() -> None:
    line = "curl -sd 'test' http://podinfo-canary.test:9898/token | grep token"

    assert planned(call(type="bash", cmd=line)).script == parse(line)


def test_a_command_for_bash_that_needs_a_shell_is_refused_with_the_reason() -> None:
    reason = refusal(call(type="bash", cmd="for i in 1 2; do true; done"))

    assert "keyword of the shell" in reason
    assert "--allow-shell" in reason


def test_with_leave_bash_gets_its_command_as_it_is() -> None:
    assert planned(call(type="bash", cmd="echo $(date)"), SHELL).script == one(("bash", "-c", "echo $(date)"))


def test_with_leave_other_commands_get_a_shell_where_they_need_one() -> None:
    assert planned(call(type="cmd", cmd="echo $(date)"), SHELL).script == one(("bash", "-c", "echo $(date)"))
    assert planned(call(type="cmd", cmd="echo a"), SHELL).script == parse("echo a")


@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        ({}, "metadata not found"),
        ({"type": "cmd"}, "cmd not found"),
        ({"cmd": "  "}, "cmd not found"),
        ({"type": "nosuch", "cmd": "a"}, "unknown task type nosuch"),
        ({"type": "concord"}, "concord"),
        ({"type": "ngrinder"}, "ngrinder"),
        ({"type": "bats", "cmd": "x"}, "type bash"),
        ({"cmd": "echo 'a"}, "not closed"),
    ],
)
def test_what_is_not_done_here_is_refused_with_the_reason(metadata: dict[str, str], words: str) -> None:
    assert words in refusal(call(**metadata))


def test_a_program_that_is_missing_is_named() -> None:
    assert "no program ghz " in refusal(call(cmd="ghz http://a/"), NOTHING)


# --- Programs --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*DEFAULT, *sorted(TEXT_TOOLS)])
def test_what_makes_load_and_what_reads_its_output_may_be_run(name: str) -> None:
    planned(call(cmd=name))


@pytest.mark.parametrize("name", ["bash", "/bin/sh", "env", "xargs", "timeout", "perl", "python3", "python3.13", "awk"])
def test_what_runs_code_or_starts_programs_takes_a_shell(name: str) -> None:
    assert "--allow-shell" in refusal(call(cmd=f"{name} curl http://a/"))
    planned(call(cmd=f"{name} curl http://a/"), SHELL)


def test_every_other_program_must_be_on_the_list() -> None:
    reason = refusal(call(cmd="curl http://a/ | nosuch"))

    assert reason.startswith("nosuch is not among the programs")
    flag = reason.rpartition("--programs=")[2]
    planned(call(cmd="nosuch"), Powers(Programs(frozenset(flag.split(",")), which=lambda name: name)))


def test_a_program_is_named_without_its_folder() -> None:
    """Else whoever can write a file anywhere could give it the name of a program on the list."""
    assert refusal(call(cmd="/var/x/curl http://a/")).endswith("write curl")
    assert "not among" in refusal(call(cmd="./nosuch"))


def test_no_list_holds_what_starts_others() -> None:
    assert not STARTERS & {*DEFAULT, *TEXT_TOOLS}


def test_helm_must_be_on_the_list_to_be_a_task() -> None:
    assert "--programs=" in refusal(call(type="helm", cmd="test a"), Powers())


@pytest.mark.parametrize("name", ["TZ", "LC_ALL", "http_proxy", "NO_PROXY", "K6_VUS"])
def test_harmless_variables_may_be_set(name: str) -> None:
    planned(call(cmd=f"{name}=1 curl http://a/"))


@pytest.mark.parametrize("name", ["LD_PRELOAD", "PATH", "HOME", "BASH_ENV", "PYTHONPATH", "OPENSSL_CONF", "XTZ"])
def test_other_variables_take_a_shell(name: str) -> None:
    assert f"variable {name} may not be set" in refusal(call(cmd=f"{name}=1 curl http://a/"))
    planned(call(cmd=f"{name}=1 curl http://a/"), SHELL)


# --- Bodies ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        {"metadata": {"cmd": "echo \ud800"}},
        {"metadata": {"type": "\udfff", "cmd": "true"}},
        {"metadata": {"\ud800": "x"}},
        {"name": "\ud800", "namespace": "test"},
        {"type": "\ud800"},
    ],
)
def test_half_characters_are_refused(body: Any) -> None:
    with pytest.raises(BadCallError, match="half a character"):
        read_call(json.dumps(body).encode())


@pytest.mark.parametrize("name", ["Podinfo", "a_b", "-a", "a-", "a" * 254, "a/b", "a\n", "é", " "])
def test_what_no_canary_can_be_called_is_refused(name: str) -> None:
    with pytest.raises(BadCallError, match="name of a Kubernetes object"):
        read_call(json.dumps({"name": name, "namespace": "test"}).encode())


def test_a_namespace_is_shorter_than_a_name() -> None:
    read_call(json.dumps({"name": "a" * 253, "namespace": "a" * 63}).encode())
    with pytest.raises(BadCallError):
        read_call(json.dumps({"name": "a", "namespace": "a" * 64}).encode())


BODIES = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text() | st.text(st.characters(categories=["Cs"]), max_size=2),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["name", "namespace", "type", "metadata", "cmd", "logCmdOutput"]), inner)
    ),
    max_leaves=8,
)


@given(st.binary() | BODIES.map(lambda body: json.dumps(body).encode()))
def test_any_body_is_a_task_or_refused(body: bytes) -> None:
    try:
        found = plan(read_call(body), EVERYTHING)
    except BadCallError as error:
        str(error).encode()
    else:
        assert isinstance(found, Task | Refused)
