import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadtest.command import MOST_COMMANDS, Command, End, Exit, Script, Step, When, parse
from loadtest.words import LONGEST_COMMAND, CommandError, NeedsShellError


def argv(line: str) -> list[tuple[str, ...]]:
    """The programs and arguments of a command line, in order."""
    return [command.argv for step in steps(line) for command in step.pipeline]


def steps(line: str) -> list[Step]:
    """The pipelines of a command line that has nothing else."""
    script = parse(line)
    found = [step for step in script if isinstance(step, Step)]
    assert len(found) == len(script)
    return found


def shape(script: Script) -> list[tuple[str, int]]:
    """When each pipeline is run, and how many programs it has."""
    return [(step.when.value, len(step.pipeline)) for step in script if isinstance(step, Step)]


# --- Words -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("hey -z 1m -q 10 -c 2 http://my-app.canary:9898/", 8),
        ("echo 'a b'  \t c", 3),
        ("echo a\\\n  b", 3),
    ],
)
def test_blanks_part_words_and_quotes_hold_them_together(line: str, words: int) -> None:
    (found,) = argv(line)

    assert len(found) == words


@pytest.mark.parametrize(
    ("written", "got"),
    [
        ("'{test: 2}'", "{test: 2}"),
        ('"a b"', "a b"),
        ("a'b'\"c\"d", "abcd"),
        (r"a\ b", "a b"),
        (r'"\$x \a \" \\"', r'$x \a " \\'.replace("\\\\", "\\")),
        (r"'\n'", r"\n"),
        ("''", ""),
        ('"ok$"', "ok$"),
        ("50$", "50$"),
        ("'$HOME `x` *'", "$HOME `x` *"),
        (r"\*", "*"),
        ("a#b", "a#b"),
        ("{a,b}", "{a,b}"),
        ("http://x:1/?a=b", "http://x:1/?a=b"),
        ("http://x/[1]*", "http://x/[1]*"),
        ("a~", "a~"),
        ("x=1", "x=1"),
        ("a\\", "a\\"),
    ],
)
def test_quotes_and_backslashes_mean_what_they_mean_in_sh(written: str, got: str) -> None:
    assert argv(f"echo {written}") == [("echo", got)]


QUOTED = st.sampled_from(["'", '"', "\\", " ", "a", "|", ";", "$", "`", "*", "#", "&", "=", "é", "!", "(", ">", "\n"])


@settings(max_examples=150, deadline=None)
@given(st.lists(QUOTED, max_size=12).map("".join))
def test_what_is_understood_means_the_same_to_sh(text: str) -> None:
    """A line is refused, or the real shell hands the program the same arguments."""
    try:
        (step,) = steps(f"printf '%s\\0' {text}")
        (command,) = step.pipeline
    except (AssertionError, ValueError):
        return
    ran = subprocess.run(["sh", "-c", f"printf '%s\\0' {text}"], capture_output=True, check=False)

    assert ran.stdout.decode().split("\0")[:-1] == (list(command.argv[2:]) or [""])


# --- Operators -------------------------------------------------------------------------------------------------


def test_programs_in_a_pipe_are_one_pipeline() -> None:
    (step,) = steps("curl -s http://my-app-primary:9898/health | grep ok")

    assert [command.argv[0] for command in step.pipeline] == ["curl", "grep"]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("a", [(";", 1)]),
        ("a;", [(";", 1)]),
        ("a && b || c; d", [(";", 1), ("&&", 1), ("||", 1), (";", 1)]),
        ("a|b&&c|d|e", [(";", 2), ("&&", 3)]),
        ("\n a\n\nb \n", [(";", 1), (";", 1)]),
        ("a |\n b &&\n\n c", [(";", 2), ("&&", 1)]),
        ("# first\na # then\nb", [(";", 1), (";", 1)]),
        ("a\r\nb\r\n", [(";", 1), (";", 1)]),
    ],
)
def test_operators_and_newlines_part_pipelines(line: str, expected: list[tuple[str, int]]) -> None:
    assert shape(parse(line)) == expected


@pytest.mark.parametrize(
    ("when", "status", "runs"),
    [
        (When.ALWAYS, 0, True),
        (When.ALWAYS, 1, True),
        (When.SUCCEEDED, 0, True),
        (When.SUCCEEDED, 1, False),
        (When.FAILED, 0, False),
        (When.FAILED, 1, True),
    ],
)
def test_a_pipeline_runs_by_the_status_so_far(when: When, status: int, *, runs: bool) -> None:
    assert when.holds(status) is runs


@pytest.mark.parametrize(
    "line", ["", " \n ", "# only words", "a |", "| a", "a && ", "|| a", "; a", "a ; ; b", "a | ; b", "a |\n| b", "a > "]
)
def test_operators_without_a_program_are_refused(line: str) -> None:
    with pytest.raises(CommandError):
        parse(line)


# --- Variables and redirections --------------------------------------------------------------------------------


def test_assignments_before_a_program_are_its_environment() -> None:
    (step,) = steps("A=1 B='x y' env C=3")

    assert step.pipeline == (Command(("env", "C=3"), env=(("A", "1"), ("B", "x y"))),)


@pytest.mark.parametrize("word", ["'A'=1", "1A=1", "A-B=1", "=1"])
def test_a_word_that_is_no_assignment_is_a_program(word: str) -> None:
    (found,) = argv(word)

    assert len(found) == 1


@pytest.mark.parametrize(
    ("written", "stdout", "stderr"),
    [
        ("", End.NEXT, End.LOG),
        (">/dev/null", End.NULL, End.LOG),
        ("1>> /dev/null", End.NULL, End.LOG),
        ("2>/dev/null", End.NEXT, End.NULL),
        ("2>&1", End.NEXT, End.NEXT),
        (">&2", End.LOG, End.LOG),
        ("&>/dev/null", End.NULL, End.NULL),
        (">/dev/null 2>&1", End.NULL, End.NULL),
        ("2>&1 >/dev/null", End.NULL, End.NEXT),
    ],
)
def test_redirections_are_done_from_left_to_right(written: str, stdout: End, stderr: End) -> None:
    (step,) = steps(f"a {written} b")

    assert step.pipeline == (Command(("a", "b"), stdout=stdout, stderr=stderr),)


def test_a_program_may_read_nothing() -> None:
    (step,) = steps("cat < /dev/null")

    assert step.pipeline[0].reads_null


# --- What is refused -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "construct"),
    [
        ("echo $(date)", "$(…)"),
        ('echo "$(date)"', "$(…)"),
        ("echo `date`", "`…`"),
        ('echo "`date`"', "`…`"),
        ("echo $HOME", "$HOME"),
        ('echo "${HOME}"', "${…}"),
        ("echo $((1+1))", "$((…))"),
        ("echo $?", "$?"),
        ("echo $'a'", "$'…'"),
        ("ls *.txt", "*"),
        ("ls file?", "?"),
        ("ls [ab]", "[ab]"),
        ("ls ~/x", "~"),
        ("sleep 1 &", "&"),
        ("hey http://x/?a=1&b=2", "&"),
        ("(a)", "("),
        ("{ a; }", "{"),
        ("! a", "!"),
        ("if a; then b; fi", "if"),
        ("while true; do a; done", "while"),
        ("cat <<EOF", "<<"),
        ("cat <<< x", "<<<"),
        ("a > file", ">file"),
        ("a 2>> file", "2>>file"),
        ("a < file", "<file"),
        ("a 3>&1", "3>&1"),
        ("a |& b", "|&"),
        ("cd /tmp", "cd"),
        ("export A=1", "export"),
        (". ./env", "."),
        ("A=1", "A="),
        ("case x in", "case"),
    ],
)
def test_what_only_a_shell_can_do_is_refused_by_name(line: str, construct: str) -> None:
    with pytest.raises(NeedsShellError) as refused:
        parse(line)

    assert str(refused.value).startswith(f"{construct} is ")


@pytest.mark.parametrize(
    ("line", "remedy", "followed"),
    [
        (
            "[ $(curl -s -o /dev/null -w '%{http_code}' http://a/) -eq 200 ]",
            "in a pipe",
            "curl -s -o /dev/null -w '%{http_code}' http://a/ | grep -q 200",
        ),
        ("echo `date`", "in a pipe", "date | grep -q 2"),
        ("echo $HOME", "write its value", "echo /root"),
        ("grep ${x}", "single quotes", "grep '${x}'"),
        ("a; [ $? -eq 0 ] && b", "&& or ||", "a && b"),
        ("echo $'a'", "without the $", "echo 'a'"),
        ("ls *.txt", "the names", "ls a.txt"),
        ("hey http://x/?a=1&b=2", "single quotes", "hey 'http://x/?a=1&b=2'"),
        ("(a; b)", "leave the parentheses out", "a; b"),
        ("a http://x/(1)", "single quotes", "a 'http://x/(1)'"),
        ("! grep x", "PROGRAM && exit 1 || exit 0", "grep x && exit 1 || exit 0"),
        ("if a; then b; fi", "by &&", "a && b"),
        ("[[ a == b ]]", "[ ... ]", "[ a = b ]"),
        ("cat <<< x", "echo 'TEXT' | PROGRAM", "echo 'x' | cat"),
        ("a > file", "/dev/null", "a > /dev/null"),
        ("a |& b", "2>&1 |", "a 2>&1 | b"),
        ("exec curl http://a/", "the program alone", "curl http://a/"),
        ("A=1; curl http://a/", "where it is used", "curl http://a/"),
        ("set -f", "-e, -u, -x and -o pipefail", "set -euxo pipefail; a"),
        ("a && set -e", "alone, at the beginning", "set -e; a"),
        ("a | exit 1", "after && or ||", "a || exit 1"),
    ],
)
def test_what_a_refusal_tells_to_write_is_understood(line: str, remedy: str, followed: str) -> None:
    with pytest.raises(NeedsShellError) as refused:
        parse(line)

    assert remedy in str(refused.value)
    assert parse(followed)


def test_of_a_substitution_in_a_test_no_quotes_are_recommended() -> None:
    """Quoted, the test would compare the text of the command and never pass."""
    with pytest.raises(NeedsShellError) as refused:
        parse("[ $(date) = 1 ]")

    assert "single quotes" not in str(refused.value)


@pytest.mark.parametrize(
    ("line", "status"), [("a || exit 1", 1), ("a || exit", None), ("a || exit 256", 0), ("a || exit 0", 0)]
)
def test_an_exit_ends_a_script_with_a_status(line: str, status: int | None) -> None:
    assert parse(line)[1] == Exit(When.FAILED, status)


@pytest.mark.parametrize("line", ["exit x", "exit -1", "exit 1 2"])
def test_an_exit_with_something_else_is_refused(line: str) -> None:
    with pytest.raises(CommandError, match="one number"):
        parse(line)


def test_options_hold_for_what_follows_them() -> None:
    found = [(step.must_succeed, step.any_fails) for step in steps("a; set -e; b && c; set -o pipefail; d")]

    assert found == [(False, False), (False, False), (True, False), (True, True)]


@pytest.mark.parametrize("line", ["echo 'a", 'echo "a', 'echo "a\\"'])
def test_a_quote_that_is_not_closed_is_refused(line: str) -> None:
    with pytest.raises(CommandError, match="not closed"):
        parse(line)


@pytest.mark.parametrize(
    "line", ["a" * (LONGEST_COMMAND + 1), "a\0b", "a;" * (MOST_COMMANDS + 1), "a|" * MOST_COMMANDS + "a"]
)
def test_what_is_too_long_or_no_text_is_refused(line: str) -> None:
    with pytest.raises(CommandError):
        parse(line)


def test_a_bracket_alone_is_the_program_of_that_name() -> None:
    assert argv("[ a = b ]") == [("[", "a", "=", "b", "]")]


@given(st.text())
def test_any_text_is_understood_or_refused(line: str) -> None:
    try:
        script = parse(line)
    except CommandError:
        return

    assert all(command.argv[0] for step in script if isinstance(step, Step) for command in step.pipeline)
