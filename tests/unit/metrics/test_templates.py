import json
import re
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.gotemplate import Value, evaluate, form_of, parse
from metrics.templates import NAMES, Model, TemplateError, check, render

MODEL = Model(name="podinfo", namespace="test", target="app", service="svc", ingress="ing", route="r", interval="1m")


def test_templates_render_and_fail_as_in_go(recorded: Callable[[str], bytes], model: Model) -> None:
    """The recorded outputs are those of Go's text/template with the same names and values."""
    for case in json.loads(recorded("go_templates.json")):
        try:
            output = render(case["template"], model)
        except TemplateError:
            output = None
        assert output == case["output"], case["template"]


def test_a_query_of_a_metric_template_renders_as_written(model: Model) -> None:
    template = """
    histogram_quantile(0.99, sum(rate(response_latency_ms_bucket{
      namespace="{{ namespace }}", deployment=~"{{ target }}", direction="{{ variables.direction }}"
    }[{{ interval }}])) by (le))
    """
    assert (
        render(template, model)
        == """
    histogram_quantile(0.99, sum(rate(response_latency_ms_bucket{
      namespace="test", deployment=~"app", direction="inbound"
    }[1m])) by (le))
    """
    )


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{{ foo }}", "line 1, column 4: foo isn't defined; available are ingress, interval, name, namespace"),
        ("a\nb{{ variables.nope }}", "line 2, column 14: no entry for 'nope'; there are direction, with-dash"),
        ("{{ .Name }}", "line 1, column 4: nil has no fields, so no .Name"),
        ("{{ name", "line 1, column 1: this action isn't closed by }}"),
        ('{{ "a', "line 1, column 4: this string isn't closed"),
        ("x {{ if name }}", "line 1, column 6: this if has no end"),
        ("{{ . }}", "line 1, column 4: there is no value here"),
        ('{{ define "x" }}{{ end }}', "line 1, column 4: define is not supported"),
        ("{{ printf }}", "line 1, column 4: printf takes 1 or more arguments, not 0"),
        ("{{ not 1 2 }}", "line 1, column 4: not takes 1 arguments, not 2"),
    ],
)
def test_an_error_names_the_place_and_the_remedy(template: str, message: str, model: Model) -> None:
    with pytest.raises(TemplateError) as caught:
        render(template, model)
    assert str(caught.value).startswith(message)


def test_no_variables_are_told_apart_from_other_variables() -> None:
    with pytest.raises(TemplateError, match="no entry for 'x'; there are none"):
        render("{{ variables.x }}", MODEL)


def test_a_template_can_be_checked_without_a_canary() -> None:
    check("{{ namespace }} {{ variables.anything }}")
    with pytest.raises(TemplateError, match="nmspace isn't defined"):
        check("{{ nmspace }}")


def test_deep_nesting_is_refused_and_not_a_crash() -> None:
    with pytest.raises(TemplateError, match="nested more than"):
        check("{{ " + "(" * 5000 + "name" + ")" * 5000 + " }}")
    with pytest.raises(TemplateError, match="nested more than"):
        check("{{ if name }}" * 5000 + "{{ end }}" * 5000)
    with pytest.raises(TemplateError, match="nested more than"):
        check("{{ name" + " | print" * 5000 + " }}")
    with pytest.raises(TemplateError, match="nested more than"):
        check("{{ variables" + ".x" * 5000 + " }}")


@pytest.mark.parametrize(
    "template",
    [
        "{{ range variables }}" * 40 + "x" + "{{ end }}" * 40,
        "{{ range variables }}" * 40 + "{{ end }}" * 40,
        "{{ range variables }}" * 40 + "{{ if not 1 }}{{ end }}" + "{{ end }}" * 40,
        '{{ $x := "aaaa" }}' + "{{ $x = print $x $x }}" * 60,
        '{{ printf "%999999999d" 1 }}',
        '{{ printf "%.999999999f" 1.0 }}',
        '{{ printf "%999999999s" name }}',
    ],
)
def test_a_template_that_would_fill_the_memory_or_never_end_is_refused(template: str, model: Model) -> None:
    with pytest.raises(TemplateError, match=r"than a template needs|can't write"):
        render(template, model)


LIST: dict[str, Value] = {
    "many": ({"a": "1", "b": None}, {"a": "2", "b": True}),
    "none": (),
    "deep": {"x": {"y": ("z",)}},
}


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{{ range many }}{{ .a }};{{ end }}", "1;2;"),
        ("{{ range $i, $each := many }}{{ $i }}={{ $each.a }};{{ end }}", "0=1;1=2;"),
        ("{{ range none }}x{{ else }}nothing{{ end }}", "nothing"),
        ('{{ len many }} {{ (index many 1).a }} {{ index many 1 "a" }}', "2 2 2"),
        ("{{ if none }}x{{ else }}empty{{ end }}", "empty"),
        ("{{ many }}", "[map[a:1 b:<nil>] map[a:2 b:true]]"),
        ("{{ range deep.x.y }}{{ . }}{{ end }}", "z"),
        ("{{ . }}{{ $ }}", "dotdot"),
    ],
)
def test_lists_are_gone_over_and_indexed_as_in_go(template: str, expected: str) -> None:
    assert evaluate(parse(template, frozenset(LIST)), LIST, dot="dot") == expected


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("{{ index many 2 }}", "a list of 2 has no item 2"),
        ("{{ index many -1 }}", "a list of 2 has no item -1"),
        ("{{ index many true }}", "not a list and a boolean"),
        ("{{ many.a }}", "a list has no fields, so no .a"),
        ("{{ eq many many }}", "a list can't be compared"),
    ],
)
def test_what_a_list_has_not_is_told(template: str, words: str) -> None:
    with pytest.raises(TemplateError, match=words):
        evaluate(parse(template, frozenset(LIST)), LIST)


@given(st.text().filter(lambda text: "{{" not in text))
def test_text_without_actions_stays_as_it_is(text: str) -> None:
    assert render(text, MODEL) == text


def refusal(text: str) -> TemplateError | None:
    try:
        render(text, MODEL)
    except TemplateError as error:
        return error
    return None


@given(st.text(alphabet=st.sampled_from('{}\n -/*a.$|()`"')))
def test_any_text_renders_or_is_refused_with_a_place(text: str) -> None:
    error = refusal(text)
    if error is not None:
        assert 1 <= error.line <= text.count("\n") + 1
        assert 1 <= error.column <= len(text) + 1


DELIMITERS = ["{{", "}}", "{{-", "-}}", "/*", "*/", '"a"', ":=", *" \n()|,.`1="]
WORDS = ["name", "variables", ".x", "$x", "$", "printf", "eq", "and", "nil", "true", "text"]
KEYWORDS = ["if", "else", "end", "range", "with"]
pieces = st.sampled_from(DELIMITERS + WORDS + KEYWORDS)


@given(st.lists(pieces, max_size=25).map("".join))
def test_any_arrangement_of_the_language_renders_or_is_refused(text: str) -> None:
    error = refusal(text)
    assert error is None or error.reason


def test_pods_are_named_after_the_target_unless_told() -> None:
    """A Deployment's pods get an ending that the cluster makes up, `primary` being none of them."""
    pattern = re.compile(render("{{ pods }}", MODEL))
    assert pattern.fullmatch("app-6d4cf56db6-x7wvk")
    assert pattern.fullmatch("app-x7wvk")
    assert not pattern.fullmatch("app-primary-6d4cf56db6-x7wvk")
    assert render("{{ pods }}", replace(MODEL, pods="app-(1|2)")) == "app-(1|2)"


def test_ports_are_any_unless_told() -> None:
    assert render("{{ ports }}", MODEL) == "[0-9a-zA-Z-]+"
    assert render("{{ ports }}", replace(MODEL, ports="(80|http)")) == "(80|http)"


def test_pods_of_a_neighbour_of_another_kind_are_not_taken_for_the_target_s() -> None:
    """A DaemonSet `app-db` has pods that could be of a Deployment `app` whose hash is `db`, and the other way round."""
    deployment, daemon_set = (
        re.compile(render("{{ pods }}", replace(MODEL, kind=kind))) for kind in ("Deployment", "DaemonSet")
    )
    assert deployment.fullmatch("app-6d4cf56db6-x7wvk")
    assert not deployment.fullmatch("app-x7wvk")
    assert daemon_set.fullmatch("app-x7wvk")
    assert not daemon_set.fullmatch("app-6d4cf56db6-x7wvk")
    assert not daemon_set.fullmatch("app-db-x7wvk")


def test_a_dot_in_a_name_is_no_other_character() -> None:
    pattern = re.compile(render("{{ pods }}", replace(MODEL, target="app.v1")))
    assert pattern.fullmatch("app.v1-6d4cf56db6-x7wvk")
    assert not pattern.fullmatch("app-v1-6d4cf56db6-x7wvk")


HASHES = ["6d4b75cb6d", "6d4b75cb6", "9", "c5d9f8b4"]


def pod(workload: str, ending: str = "x2v9k") -> str:
    """As Kubernetes names it: cut to 58 characters, and then its ending."""
    return f"{workload}-"[:58] + ending


@pytest.mark.parametrize("length", range(1, 56))
def test_pods_are_found_however_long_the_target_s_name_is_and_the_primary_s_are_not(length: int) -> None:
    """Up to the 55 characters of which `NAME-primary` is still a name."""
    target = "pr-of-a-long-name-with-many-words-in-it-and-more-of-them-in-it"[:length].rstrip("-")
    canary, primary = (
        re.compile(render("{{ pods }}", replace(MODEL, target=name))) for name in (target, f"{target}-primary")
    )
    for kind in ("Deployment", "DaemonSet"):
        told = re.compile(render("{{ pods }}", replace(MODEL, target=target, kind=kind)))
        assert told.fullmatch(pod(f"{target}{'-6d4b75cb6d' if kind == 'Deployment' else ''}"))
    for made in ("", *(f"-{each}" for each in HASHES)):
        for ending in ("x2v9k", "prprp", "44444"):
            assert canary.fullmatch(pod(f"{target}{made}", ending))
            assert not canary.fullmatch(pod(f"{target}-primary{made}", ending))
            assert primary.fullmatch(pod(f"{target}-primary{made}", ending))
            assert not primary.fullmatch(pod(f"{target}{made}", ending))


texts = {name: st.text(min_size=1 if name in {"pods", "ports"} else 0) for name in sorted(NAMES - {"variables"})}


@given(st.fixed_dictionaries(texts), st.text())
def test_values_are_inserted_and_never_read_as_templates(values: dict[str, str], variable: str) -> None:
    model = Model(**values, variables={"v": variable})
    for name, value in values.items():
        assert render(f"<{{{{ {name} }}}}>", model) == f"<{value}>"
    assert render("{{ variables.v }}", model) == variable


@given(st.lists(st.sampled_from(["{{ name }}", "{{- target -}}", "{{ interval }}", "%", "%s", "%(name)s", " a ", "}"])))
def test_what_writes_nothing_but_names_is_filled_in_at_once_as_it_is_step_by_step(parts: list[str]) -> None:
    values = {"name": "podinfo", "target": "100%", "interval": "{{ name }}"}
    template = parse("".join(parts), frozenset(values))
    form = form_of(template, frozenset(values))
    assert form is not None
    assert form % values == evaluate(template, values)


@pytest.mark.parametrize("template", ["{{ variables }}", "{{ if name }}a{{ end }}", '{{ "a" }}', "{{ $a := name }}"])
def test_what_does_more_than_write_names_is_not_filled_in_at_once(template: str) -> None:
    assert form_of(parse(template, NAMES), NAMES - {"variables"}) is None
