import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadtest.command import MOST_COMMANDS, Command, End, Script, When, parse
from loadtest.words import LONGEST_COMMAND, CommandError, NeedsShellError


def argv(line: str) -> list[tuple[str, ...]]:
    """The programs and arguments of a command line, in order."""
    return [command.argv for step in parse(line) for command in step.pipeline]


def shape(script: Script) -> list[tuple[str, int]]:
    """When each pipeline is run, and how many programs it has."""
    return [(step.when.value, len(step.pipeline)) for step in script]


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
        (step,) = parse(f"printf '%s\\0' {text}")
        (command,) = step.pipeline
    except (CommandError, ValueError):
        return
    ran = subprocess.run(["sh", "-c", f"printf '%s\\0' {text}"], capture_output=True, check=False)

    assert ran.stdout.decode().split("\0")[:-1] == (list(command.argv[2:]) or [""])


# --- Operators -------------------------------------------------------------------------------------------------


def test_programs_in_a_pipe_are_one_pipeline() -> None:
    (step,) = parse("curl -s http://my-app-primary:9898/health | grep ok")

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
    (step,) = parse("A=1 B='x y' env C=3")

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
    (step,) = parse(f"a {written} b")

    assert step.pipeline == (Command(("a", "b"), stdout=stdout, stderr=stderr),)


def test_a_program_may_read_nothing() -> None:
    (step,) = parse("cat < /dev/null")

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

    assert all(command.argv[0] for step in script for command in step.pipeline)
