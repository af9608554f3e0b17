"""What somebody sees who opens a link: plain pages, on which nothing is loaded from anywhere."""

from collections.abc import Iterable
from html import escape
from typing import Final

from canary.api.canary import Canary
from canary.rollout.links import Link
from canary.rollout.votes import MOST_WORDS

HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "X-Robots-Tag": "noindex",
}
"""The address is what lets somebody vote: it is kept nowhere, and told to nobody; and no other page holds this one."""

_PAGE: Final = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>body {{ font: 1.1em/1.5 sans-serif; max-width: 40em; margin: 3em auto; padding: 0 1em }}</style>
<h1>{title}</h1>
{lines}
"""

_FORM: Final = """\
<form method="post">
<p><label>Why, for those who read it later: <input name="message" maxlength="{most}"></label></p>
<p><button>{word}</button></p>
</form>"""


def page(title: str, lines: Iterable[str], more: str = "") -> str:
    """A page.

    Args:
        title: its title.
        lines: its paragraphs, as text.
        more: what follows, as HTML.
    """
    text = "\n".join(f"<p>{escape(line)}</p>" for line in lines)
    return _PAGE.format(title=escape(title), lines=f"{text}\n{more}".rstrip())


def asking(link: Link, canary: Canary) -> str:
    """The page that a link leads to: what it would say, and a button that says it. To look at it changes nothing."""
    word, then = ("Approve", "goes on") if link.approves else ("Reject", "is taken back")
    images = (canary.status.rollout.images if canary.status.rollout is not None else None) or {}
    what = ", ".join(sorted(images.values()))
    lines = (
        (
            f"Gate {link.gate} of Canary {link.namespace}/{link.name} waits, at {canary.status.canary_weight} % of the"
            f" requests{f', with {what}' if what else ''}."
        ),
        (
            f"By the button below you say {'yes' if link.approves else 'no'} as {link.by}: the rollout {then}"
            f"{', once enough have said so' if link.approves else ''}."
        ),
        f"This works once, until {link.expires:%Y-%m-%d %H:%M} UTC.",
    )
    return page(f"{word} {link.name}?", lines, _FORM.format(most=MOST_WORDS - len("by a link: "), word=word))


def said(link: Link) -> str:
    """The page that tells that it was said."""
    word = "approved" if link.approves else "rejected"
    told = f"{link.by} has {word} gate {link.gate} of Canary {link.namespace}/{link.name}."
    return page("It is said", (told, "This link won't work again."))


def refused(why: str) -> str:
    """The page that tells why nobody votes by a link."""
    return page("Nothing was changed", (f"{why[:1].upper()}{why[1:]}.",))
