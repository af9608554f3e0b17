"""What Flagger's deployments give as variables, mostly out of Secrets, `canary run` takes from there too."""

import argparse

import pytest

from canary.cli import run_command
from canary.controller.options import Options

SLACK = "https://hooks.slack.example/services/T0/B0/secret"
TEAMS = "https://teams.example/webhook/secret"
FLAGGERS = {
    "SLACK_URL": SLACK,
    "SLACK_TOKEN": "xoxb-secret",
    "SLACK_PROXY_URL": "http://me:secret@proxy:3128",
    "MSTEAMS_URL": TEAMS,
    "MSTEAMS_PROXY_URL": "http://me:secret@other:3128",
    "EVENT_WEBHOOK_URL": "https://events.example/?key=secret",
}


def options(environment: dict[str, str], *arguments: str) -> Options:
    parser = argparse.ArgumentParser()
    run_command.add(parser.add_subparsers())
    parsed = parser.parse_args(["run", *arguments])
    run_command.take_from_environment(parsed, environment)
    return run_command.options_of(parsed)


def told(found: Options) -> dict[str, str]:
    """Every setting by the name of the variable that Flagger has for it; those that are empty are left out."""
    by_type = {each.type: each for each in found.messengers}
    settings = {"EVENT_WEBHOOK_URL": found.event_webhook}
    for type_, prefix in (("slack", "SLACK"), ("msteams", "MSTEAMS")):
        if type_ in by_type:
            to = by_type[type_]
            settings |= {f"{prefix}_URL": to.address, f"{prefix}_TOKEN": to.token, f"{prefix}_PROXY_URL": to.proxy}
    return {name: value for name, value in settings.items() if value}


def test_all_six_of_flaggers_variables_are_read() -> None:
    assert told(options(FLAGGERS)) == FLAGGERS
    assert set(run_command.ENVIRONMENT.values()) == set(FLAGGERS)


def test_without_variables_and_flags_nobody_is_told() -> None:
    assert told(options({})) == told(options(dict.fromkeys(FLAGGERS, ""))) == {}


@pytest.mark.parametrize("flag", sorted(run_command.ENVIRONMENT))
def test_a_variable_counts_before_its_flag_as_in_flagger(flag: str) -> None:
    other, variable = "https://another.example", run_command.ENVIRONMENT[flag]
    given = f"--{flag.replace('_', '-')}={other}"
    assert told(options(FLAGGERS, given)) == FLAGGERS
    assert told(options({**FLAGGERS, variable: ""}, given)) == {**FLAGGERS, variable: other}


def test_the_line_end_of_a_secret_that_was_made_from_a_file_does_not_count() -> None:
    assert told(options({name: f" {value}\r\n" for name, value in FLAGGERS.items()})) == FLAGGERS


def test_what_they_hold_is_shown_nowhere(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither by `--help`, which shows defaults, nor by whoever prints the settings."""
    for name, value in FLAGGERS.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit):
        options(FLAGGERS, "--help")
    assert "secret" not in capsys.readouterr().out
    assert "secret" not in repr(options(FLAGGERS))


@pytest.mark.parametrize("variable", sorted(set(FLAGGERS) - {"SLACK_TOKEN"}))
def test_what_is_no_address_is_refused_by_the_name_of_its_variable(
    variable: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """And without what it holds: a token in the wrong place is one still."""
    with pytest.raises((SystemExit, Exception)) as refused:
        options({**FLAGGERS, variable: "xoxb-secret"})
    said = capsys.readouterr().err + str(refused.value)
    assert variable in said
    assert "secret" not in said
