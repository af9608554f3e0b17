"""`canary completion`: what a shell needs to complete commands and flags."""

import argparse
from collections.abc import Mapping
from typing import Final

from canary.cli.failures import DONE

_BASH: Final = """\
_canary() {{
  local words
  case "${{COMP_WORDS[1]}}" in
{cases}
    *) words="{commands}" ;;
  esac
  [ "$COMP_CWORD" -eq 1 ] && words="{commands}"
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "${{COMP_WORDS[COMP_CWORD]}}")
}}
complete -o default -F _canary canary
"""


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "completion",
        help="complete commands and flags in a shell",
        description="Print what a shell needs to complete commands and flags. "
        "Example: source <(canary completion bash)",
        epilog="exit codes: 0 done; 2 there is no such shell",
    )
    parser.set_defaults(run=_run, commands=commands)
    parser.add_argument("shell", choices=("bash", "zsh", "fish"))


def _run(arguments: argparse.Namespace) -> int:
    known = {name: _flags(parser) for name, parser in arguments.commands.choices.items()}
    print(_fish(known) if arguments.shell == "fish" else _bash(known, zsh=arguments.shell == "zsh"), end="")
    return DONE


def _flags(parser: argparse.ArgumentParser) -> list[str]:
    """The long flags of a command, and its own commands."""
    actions = parser._actions  # noqa: SLF001 - argparse has no other list of them
    flags = [option for action in actions for option in action.option_strings if option.startswith("--")]
    inner = [each for each in actions if isinstance(each, argparse._SubParsersAction)]  # noqa: SLF001
    return [*(name for each in inner for name in each.choices), *flags]


def _bash(known: Mapping[str, list[str]], *, zsh: bool) -> str:
    cases = "\n".join(f'    {name}) words="{" ".join(flags)}" ;;' for name, flags in known.items())
    script = _BASH.format(cases=cases, commands=" ".join(known))
    if not zsh:
        return script
    reply = 'COMPREPLY=($(compgen -W "$words" -- "${COMP_WORDS[COMP_CWORD]}"))'
    lines = [f"  {reply}" if "mapfile" in line else line for line in script.splitlines()]
    return "\n".join(["autoload -U +X bashcompinit && bashcompinit", *lines, ""])


def _fish(known: Mapping[str, list[str]]) -> str:
    lines = ["complete -c canary -f -n __fish_use_subcommand -a '" + " ".join(known) + "'"]
    for name, words in known.items():
        seen = f"-n '__fish_seen_subcommand_from {name}'"
        lines += [
            f"complete -c canary {seen} -l {word.removeprefix('--')}"
            if word.startswith("--")
            else f"complete -c canary {seen} -a {word}"
            for word in words
        ]
    return "\n".join([*lines, ""])
