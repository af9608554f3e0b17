"""Words and operators of a command line, by the rules of POSIX sh; what only a shell can do is refused."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

LONGEST_COMMAND = 16 * 1024
"""Characters of a command line at most."""


class CommandError(ValueError):
    """A command line that is not run, with the reason in words."""


class NeedsShellError(CommandError):
    """A command line with a construct that only a shell can run.

    Args:
        construct: the construct as written.
        what: what it is.
        remedy: what to write instead.
    """

    def __init__(self, construct: str, what: str, remedy: str = "") -> None:
        super().__init__(f"{construct} is {what}, which needs a shell{'; ' if remedy else ''}{remedy}")


QUOTE_IT = "put it in single quotes to pass it as it is"
IN_PIPE = "compare in a pipe, such as curl -s -o /dev/null -w '%{http_code}' URL | grep -q 200"
PIPE_TEXT = "write echo 'TEXT' | PROGRAM"
WRITE_VALUE = f"write its value, or {QUOTE_IT}"
LEAVE_OUT = f"leave the parentheses out, or {QUOTE_IT}"


@dataclass(frozen=True, slots=True)
class Word:
    """One argument, its quotes taken off.

    Args:
        text: what the program gets.
        bare: the same, but with NUL for each character that was quoted, so that it has no meaning of its own.
    """

    text: str
    bare: str


@dataclass(frozen=True, slots=True)
class Operator:
    """A control operator: `|`, `&&`, `||`, `;` or a newline."""

    text: str


@dataclass(frozen=True, slots=True)
class Redirect:
    """A redirection, its target not included.

    Args:
        fd: the file descriptor before it, empty where there is none.
        text: `>`, `>>`, `<`, `>&`, `<&` or `&>`.
    """

    fd: str
    text: str


Token: TypeAlias = Word | Operator | Redirect

_SIGNS = re.compile(
    r"&&|\|\||;;|\|&|&>>?|<<<?-?|<>|>&|<&|>>|>\||[|;&<>()\n]",
)
_REDIRECTS = {">", ">>", "<", ">&", "<&", "&>", "&>>"}
_REFUSED = {
    "&": ("a command in the background", "put an address with & in single quotes"),
    "(": ("a subshell", LEAVE_OUT),
    ")": ("a subshell", LEAVE_OUT),
    ";;": ("part of a case", "join programs by &&, ||, ; and |"),
    "|&": ("a pipe for both outputs", "write 2>&1 |"),
    "<>": ("a file opened both ways", "take it out"),
    ">|": ("a file written to", "take it out, or write to /dev/null"),
}
_EXPANSION = re.compile(r"\$(\(\(|\(|\{|[A-Za-z_]\w*|[0-9@*#?$!-]|'|\")")


def split(line: str) -> list[Token]:
    """Split a command line into tokens.

    Raises:
        NeedsShellError: it has a construct that only a shell can run.
        CommandError: it is too long, or a quote is not closed.
    """
    if len(line) > LONGEST_COMMAND:
        msg = f"a command of more than {LONGEST_COMMAND} characters"
        raise CommandError(msg)
    if "\0" in line:
        msg = "a command with a NUL character"
        raise CommandError(msg)
    return list(_Reader(line).tokens())


class _Reader:
    """Reads one command line from left to right."""

    def __init__(self, line: str) -> None:
        self._line = line.replace("\r\n", "\n")
        self._at = 0

    def tokens(self) -> Iterator[Token]:
        while self._at < len(self._line):
            if self._line[self._at] in " \t":
                self._at += 1
            elif self._line.startswith("\\\n", self._at):
                self._at += 2
            elif self._line[self._at] == "#":
                end = self._line.find("\n", self._at)
                self._at = len(self._line) if end < 0 else end
            elif sign := _SIGNS.match(self._line, self._at):
                self._at = sign.end()
                yield self._sign(sign[0], "")
            else:
                yield self._word()

    def _sign(self, text: str, fd: str) -> Token:
        if text in _REFUSED:
            raise NeedsShellError(text, *_REFUSED[text])
        if text.startswith("<<"):
            raise NeedsShellError(text, "a here-document", PIPE_TEXT)
        if text in _REDIRECTS:
            return Redirect(fd, text)
        return Operator(text)

    def _word(self) -> Token:
        text: list[str] = []
        bare: list[str] = []
        while self._at < len(self._line):
            char = self._line[self._at]
            if char in " \t" or _SIGNS.match(self._line, self._at):
                break
            piece, quoted = self._piece(char)
            text.append(piece)
            bare.append("\0" * len(piece) if quoted else piece)
        word = Word("".join(text), "".join(bare))
        if self._line[self._at : self._at + 1] in ("<", ">") and re.fullmatch("[0-9]+", word.bare):
            sign = _SIGNS.match(self._line, self._at)
            assert sign is not None, "the character before has just matched"  # noqa: S101
            self._at = sign.end()
            return self._sign(sign[0], word.text)
        return word

    def _piece(self, char: str) -> tuple[str, bool]:
        """Read one character, one escape or one quoted stretch: its text, and whether it was quoted."""
        if char == "'":
            return self._until("'"), True
        if char == '"':
            return self._double_quoted(), True
        if char == "\\":
            escaped = self._line[self._at + 1 : self._at + 2]
            self._at += 2
            return ("" if escaped == "\n" else escaped or "\\"), True
        self._refuse_expansion()
        self._at += 1
        return char, False

    def _until(self, quote: str) -> str:
        end = self._line.find(quote, self._at + 1)
        if end < 0:
            msg = f"a quote {quote} that is not closed"
            raise CommandError(msg)
        text = self._line[self._at + 1 : end]
        self._at = end + 1
        return text

    def _double_quoted(self) -> str:
        text: list[str] = []
        self._at += 1
        while self._at < len(self._line):
            char = self._line[self._at]
            if char == '"':
                self._at += 1
                return "".join(text)
            if char == "\\" and (escaped := self._line[self._at + 1 : self._at + 2]) in tuple('$`"\\\n'):
                text.append("" if escaped == "\n" else escaped)
                self._at += 2
                continue
            self._refuse_expansion(quoted=True)
            text.append(char)
            self._at += 1
        msg = 'a quote " that is not closed'
        raise CommandError(msg)

    def _refuse_expansion(self, *, quoted: bool = False) -> None:
        if self._line[self._at] == "`":
            raise NeedsShellError("`…`", "a command substitution", IN_PIPE)
        found = _EXPANSION.match(self._line, self._at)
        if found is None or (quoted and found[1] in ("'", '"')):
            return
        refusals = {
            "((": ("$((…))", "an arithmetic expansion", WRITE_VALUE),
            "(": ("$(…)", "a command substitution", IN_PIPE),
            "{": ("${…}", "a variable", WRITE_VALUE),
            "?": ("$?", "a variable", "join programs by && or ||"),
            "'": ("$'…'", "a quote of bash", "write it without the $"),
            '"': ('$"…"', "a quote of bash", "write it without the $"),
        }
        raise NeedsShellError(*refusals.get(found[1], (found[0], "a variable", WRITE_VALUE)))
