"""How a draft is shown: a file to be edited, or data for programs."""

from collections.abc import Iterator

from canary.cli.cluster.tables import written
from canary.cli.init.draft import Draft
from canary.kube.types import Json


def text(draft: Draft) -> str:
    """The spec as a file, with what it rests on as comments."""
    return "\n".join([*_comments(draft), written(draft.canary, "yaml")])


def data(draft: Draft) -> Json:
    """The same for programs."""
    problems = [{"field": each.field, "message": each.message, "remedy": each.remedy} for each in draft.problems]
    return {
        "objects": [draft.canary],
        "found": draft.found,
        "guessed": draft.guessed,
        "todo": draft.todo,
        "problems": problems,
    }


def _comments(draft: Draft) -> Iterator[str]:
    for title, lines in (
        ("found", draft.found),
        ("guessed; look it through", draft.guessed),
        ("what the controller would refuse", [str(each) for each in draft.problems]),
        ("what is left to do", draft.todo),
    ):
        if lines:
            yield f"# {title}:"
            yield from (f"#   - {' '.join(each.split())}" for each in lines)
