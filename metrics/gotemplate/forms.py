"""Templates that write out nothing but names, as most queries do, in a form that is filled in at once."""

from __future__ import annotations

from metrics.gotemplate.nodes import Action, Call, Node, Template, Text

_MOST_NODES = 1000
"""Of more, the evaluator counts the steps."""


def form_of(template: Template, names: frozenset[str]) -> str | None:
    """A template as `str.__mod__` takes it; `metrics.gotemplate.form_of` has the arguments."""
    if len(template.nodes) > _MOST_NODES:
        return None
    parts = [_part(node, names) for node in template.nodes]
    return "".join(each for each in parts if each is not None) if None not in parts else None


def _part(node: Node, names: frozenset[str]) -> str | None:
    match node:
        case Text(text):
            return text.replace("%", "%%")
        case Action(pipeline) if not pipeline.targets:
            match pipeline.value:
                case Call(name, ()) if name in names:
                    return f"%({name})s"
    return None
