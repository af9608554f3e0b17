"""The Ingress of the users, from which some traffic providers start."""

from canary.api.canary import Canary
from canary.api.problems import Problem
from canary.kube.types import INGRESS, Json, ObjectRef, items, mapping
from canary.routers.base import Apply, Observed, route_metadata
from canary.routers.route_kind import CANARY, PRIMARY

CLASS_ANNOTATION = "kubernetes.io/ingress.class"
"""The older way to say whose an Ingress is."""


def users(canary: Canary) -> tuple[ObjectRef, ...]:
    """Where the Ingress is that the spec names; nowhere where it names none."""
    return _named(canary, "")


def beside(canary: Canary) -> tuple[ObjectRef, ...]:
    """Where the Ingress is that is made beside it."""
    return _named(canary, CANARY)


def unspeakable(canary: Canary) -> tuple[Problem, ...]:
    """A reference to something else than an Ingress."""
    ref = canary.spec.ingress_ref
    if ref is None or ref.kind in ("", INGRESS.kind):
        return ()
    return (Problem("spec.ingressRef.kind", f"{ref.kind} is no kind of Ingress", f"write {INGRESS.kind}"),)


def unfit(canary: Canary, observed: Observed) -> tuple[Problem, ...]:
    """What is wrong with the users' Ingress, and with one that stands where ours would be."""
    found: list[Problem] = []
    for ref in users(canary):
        if ref not in observed:
            why = f"Ingress {ref.name} does not exist in {ref.namespace}"
            found.append(Problem("spec.ingressRef.name", why, "create it, or correct its name"))
        elif not rules_to(observed[ref], canary.service_name):
            why = f"no rule of Ingress {ref.name} leads to Service {canary.service_name}"
            remedy = f"have a path of it lead to {canary.service_name}, or name the Ingress of which one does"
            found.append(Problem("spec.ingressRef.name", why, remedy))
    return tuple(found)


def occupied(canary: Canary, observed: Observed, mark: str) -> tuple[Problem, ...]:
    """What is wrong with an Ingress that stands where ours would be: its users would be led to this application.

    Args:
        canary: the Canary.
        observed: the objects that are there.
        mark: the annotation by which it would be one of a canary's.
    """
    found = []
    for ref in beside(canary):
        there = observed.get(ref, {})
        others = sorted(services(there) - set(canary.services))
        if others and mark not in annotations(there):
            why = f"Ingress {ref.name} leads to {', '.join(others)}, and would not any more"
            found.append(Problem("spec.ingressRef.name", why, f"give Ingress {ref.name} another name"))
    return tuple(found)


def source(canary: Canary, observed: Observed, version: str) -> tuple[Json, list[Json]]:
    """What an Ingress beside the users' is made from, and the rules of that which lead to the application.

    Where the users' is gone, or leads elsewhere by now, it is the one that was made before, so that requests can be
    led away from the canary still; without rules where there is none either.

    Args:
        canary: the Canary.
        observed: the objects that are there.
        version: the name of the Service that each rule of an Ingress made before leads to.
    """
    places = [*((ref, canary.service_name) for ref in users(canary)), *((ref, version) for ref in beside(canary))]
    for ref, name in places:
        if rules := rules_to(observed.get(ref, {}), name):
            return observed[ref], rules
    return {}, []


def rules_to(ingress: Json, service: str) -> list[Json]:
    """The rules of an Ingress that lead to a Service, with these paths alone."""
    found = []
    for rule in items(_spec(ingress).get("rules")):
        http = mapping(rule.get("http"))
        if paths := [path for path in items(http.get("paths")) if service_of(path) == service]:
            found.append({**rule, "http": {**http, "paths": paths}})
    return found


def led(rules: list[Json], *services: str) -> list[Json]:
    """The rules with each path once for each of these Services, in place of where it led to."""
    return [
        {
            **rule,
            "http": {
                **rule["http"],
                "paths": [_to(path, service) for path in rule["http"]["paths"] for service in services],
            },
        }
        for rule in rules
    ]


def past_versions(ingress: Json) -> list[Json]:
    """The rules of an Ingress with the Service that users call in place of the versions' own, each path once."""
    found = []
    for rule in items(_spec(ingress).get("rules")):
        http, paths = mapping(rule.get("http")), []
        for path in items(http.get("paths")):
            name = service_of(path).removesuffix(CANARY).removesuffix(PRIMARY)
            made = _to(path, name) if name else path
            paths += [made] if made not in paths else []
        found.append({**rule, "http": {**http, "paths": paths}} if http else rule)
    return found


def services(ingress: Json) -> frozenset[str]:
    """The names of the Services that an Ingress leads to by its rules."""
    rules = items(_spec(ingress).get("rules"))
    paths = (path for rule in rules for path in items(mapping(rule.get("http")).get("paths")))
    return frozenset(name for name in map(service_of, paths) if name)


def service_of(path: Json) -> str:
    """The name of the Service that a path leads to; empty for anything else."""
    return str(mapping(mapping(path.get("backend")).get("service")).get("name", ""))


def annotations(ingress: Json) -> Json:
    """The annotations of an Ingress."""
    return mapping(mapping(ingress.get("metadata")).get("annotations"))


def manifest(canary: Canary, observed: Observed, of: Json, said: Json, rules: list[Json]) -> Apply:
    """The Ingress beside the users'.

    Args:
        canary: the Canary.
        observed: the objects that are there.
        of: what it is made from, whose class it has.
        said: its annotations.
        rules: its rules.
    """
    (ref,) = beside(canary)
    metadata = route_metadata(canary, ref.name, observed.get(ref))
    whose = {key: value for key, value in annotations(of).items() if key == CLASS_ANNOTATION}
    metadata["annotations"] = {**metadata.get("annotations", {}), **whose, **said}
    spec: Json = {"rules": rules}
    if "ingressClassName" in _spec(of):
        spec["ingressClassName"] = _spec(of)["ingressClassName"]
    return Apply({"apiVersion": INGRESS.api_version, "kind": INGRESS.kind, "metadata": metadata, "spec": spec})


def _named(canary: Canary, ending: str) -> tuple[ObjectRef, ...]:
    ref = canary.spec.ingress_ref
    return (ObjectRef(INGRESS, canary.namespace, f"{ref.name}{ending}"),) if ref is not None and ref.name else ()


def _spec(ingress: Json) -> Json:
    return mapping(ingress.get("spec"))


def _to(path: Json, service: str) -> Json:
    backend = mapping(path.get("backend"))
    return {**path, "backend": {**backend, "service": {**mapping(backend.get("service")), "name": service}}}
