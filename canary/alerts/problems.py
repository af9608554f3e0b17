"""What is wrong with who is told, and how, in words that name the field and the remedy."""

from collections.abc import Iterator

from canary.alerts.alert import Destination, destination
from canary.alerts.templates import FORM, JSON, WORDS, kind_of, why_no_link, why_unusable
from canary.api.addresses import is_web_address
from canary.api.alertprovider import WEBHOOK, AlertProvider
from canary.api.canary import Canary
from canary.api.problems import Problem
from outbound.errors import CannotAskError
from outbound.message import check


def of_links(canary: Canary) -> Iterator[Problem]:
    """What is wrong with the links of the alerts of a spec."""
    for index, rule in enumerate(canary.analysis.alerts):
        for name, template in rule.links.items():
            if why := why_no_link(template):
                field = f"{canary.analysis_field}.alerts[{index}].links.{name}"
                remedy = "write an address such as https://wiki.example.com/{{ name }}, or take it out"
                yield Problem(field, why, remedy)


def of_provider(provider: AlertProvider) -> Iterator[Problem]:
    """What is wrong with an AlertProvider, whatever its Secret holds."""
    spec = provider.spec
    if spec.address and not is_web_address(spec.address):
        # It may hold a token.
        yield Problem("spec.address", "is no address", "write one such as https://hooks.example.com/alerts")
    if spec.proxy and not is_web_address(spec.proxy):
        yield Problem("spec.proxy", "is no address", "write one such as http://proxy.example.com:3128")
    for name, values in spec.headers.items():
        for value in values:
            try:
                check(((name, value),))
            except CannotAskError as error:
                yield Problem(f"spec.headers.{name}", str(error), "write printable ASCII on one line, or take it out")
    if spec.type == WEBHOOK:
        yield from _of_body(provider)


def _of_body(provider: AlertProvider) -> Iterator[Problem]:
    for name, values in provider.spec.headers.items():
        if name.lower() == "content-type" and any(kind_of(value) is None for value in values):
            remedy = f"write {JSON}, {FORM} or {WORDS}"
            yield Problem(f"spec.headers.{name}", "is a kind of text that values can't be written into safely", remedy)
            return
    to = destination(provider, {"address": "http://webhook"} if provider.spec.secret_ref is not None else None)
    if isinstance(to, Destination) and (why := why_unusable(to)):
        yield Problem("spec.body", why, "correct the template there")
