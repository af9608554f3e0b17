"""`canary undo`: the way back to a version that was promoted before."""

import json
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canary.api.canary import parse_canary
from canary.cli.changes.undo import _merge
from canary.workloads import revisions
from canary.workloads.configs import ConfigKind, ConfigRef
from canary.workloads.deployment import Deployment
from tests.unit.cli.canaries_server import SPEC, CanariesServer, Json, Run
from tests.unit.cli.canaries_server import _merge as merged
from tests.unit.cli.running import deployment
from tests.unit.cli.test_diff import CANARY, config, reading

KIND = Deployment()


def replica_set(of: Json, name: str) -> Json:
    template = deepcopy(of["spec"]["template"])
    template["metadata"]["labels"]["pod-template-hash"] = name
    owner = {"kind": "Deployment", "name": "shop", "uid": "d"}
    metadata = {"name": f"shop-{name}", "namespace": "prod", "ownerReferences": [owner]}
    return {"metadata": metadata, "spec": {"template": template}}


ONE, TWO, BAD = deployment(), deployment(image="shop:2"), deployment(image="shop:3")
FIRST, SECOND, THIRD = (KIND.revision(each) for each in (ONE, TWO, BAD))
HISTORY = [
    {"revision": THIRD, "outcome": "RolledBack"},
    {"revision": SECOND, "outcome": "Promoted"},
    {"revision": FIRST, "outcome": "Promoted"},
]


def put(server: CanariesServer, deployed: Json, *left: Json, promoted: str = SECOND, **metadata: Any) -> None:
    server.put("shop", status={"phase": "Succeeded", "lastPromotedSpec": promoted, "history": HISTORY})
    target = deepcopy(deployed)
    target["metadata"] |= {"resourceVersion": "7", **metadata}
    sets = [replica_set(each, f"n{index}") for index, each in enumerate(left)]
    server.beside = {"deployments": [target], "replicasets": sets, "controllerrevisions": []}
    server.beside |= {"configmaps": [], "secrets": []}


def deployed(server: CanariesServer) -> Json:
    template: Json = server.beside["deployments"][0]["spec"]["template"]
    return template


def test_without_a_revision_it_is_the_one_promoted_before(run: Run, server: CanariesServer) -> None:
    put(server, TWO, ONE, TWO)
    code, lines = run("undo", "shop")
    assert code == 0
    assert lines[0].startswith(f"prod/shop is set back to revision {FIRST} (shop:1), and rolled out")
    assert deployed(server) == ONE["spec"]["template"]


def test_from_a_version_that_failed_it_is_the_promoted_one(run: Run, server: CanariesServer) -> None:
    put(server, BAD, ONE, TWO, BAD)
    assert run("undo", "shop")[0] == 0
    assert deployed(server) == TWO["spec"]["template"]


def test_only_the_state_that_was_seen_is_written_and_only_the_template(run: Run, server: CanariesServer) -> None:
    put(server, TWO, ONE)
    run("undo", "shop", "--to", FIRST)
    ((query, patch),) = server.patches
    assert query["fieldManager"] == "kubectl-canary"
    assert patch["metadata"] == {"resourceVersion": "7"}
    assert list(patch["spec"]) == ["template"]


def test_a_status_that_is_written_meanwhile_is_looked_at_again(run: Run, server: CanariesServer) -> None:
    """A Deployment's controller writes one with every pod."""
    put(server, TWO, ONE, TWO)
    server.busy = 3
    code, lines = run("undo", "shop")
    assert (code, deployed(server)) == (0, ONE["spec"]["template"]), lines


def test_whoever_is_always_quicker_is_told_of(run: Run, server: CanariesServer) -> None:
    put(server, TWO, ONE, TWO)
    server.busy = 100
    code, lines = run("undo", "shop")
    assert (code, deployed(server)) == (1, TWO["spec"]["template"])
    assert "somebody else was quicker" in lines[-1]


@pytest.mark.parametrize(
    ("metadata", "tool"),
    [
        ({"annotations": {"argocd.argoproj.io/tracking-id": "x"}}, "Argo CD writes this Deployment, and"),
        ({"labels": {"kustomize.toolkit.fluxcd.io/name": "x"}}, "Flux writes this Deployment, and"),
        ({}, "a GitOps tool, where one writes it,"),
    ],
)
def test_it_is_said_who_will_put_it_back(run: Run, server: CanariesServer, metadata: Json, tool: str) -> None:
    put(server, TWO, ONE, **metadata)
    assert run("undo", "shop")[1][1] == f"canary undo: {tool} will put back what Git says; revert it there, too"


def test_a_dry_run_writes_nothing(run: Run, server: CanariesServer) -> None:
    put(server, TWO, ONE)
    code, lines = run("undo", "shop", "--dry-run")
    assert code == 0
    assert {"-  - image: shop:2", "+  - image: shop:1"} <= set(lines)
    assert server.patches == []


def test_configuration_that_is_kept_comes_back_first(run: Run, server: CanariesServer) -> None:
    canary = parse_canary({**CANARY, "spec": SPEC})
    then, now = reading(deployment()), reading(deployment(image="shop:2"))
    revision = KIND.carried(then, {"configmap/app": "1"})
    copy = ConfigRef(ConfigKind.CONFIG_MAP, "app-primary")
    record = revisions.record(then, KIND.essence(then), canary, revision=revision, configs=[copy], number=1)
    kept = revisions.config({**config(a="1"), "metadata": {"name": "app-primary"}}, record, canary)
    put(server, now, then)
    server.beside["controllerrevisions"] = [record]
    server.beside["configmaps"] = [config(a="2", b="3"), kept]
    assert run("undo", "shop", "--to", revision)[0] == 0
    assert server.beside["configmaps"][0]["data"] == {"a": "1"}
    assert [next(iter(patch)) for _, patch in server.patches] == ["data", "spec"]


def test_configuration_that_is_not_kept_is_told(run: Run, server: CanariesServer) -> None:
    put(server, TWO, ONE)
    server.objects["prod", "shop"]["status"]["history"][2] = {"revision": f"{FIRST}-abc", "outcome": "Promoted"}
    code, lines = run("undo", "shop", "-o", "json", "--dry-run")
    assert code == 0
    assert json.loads("\n".join(lines[: lines.index("}") + 1]))["lost"] == ["its configuration"]
    server.objects["prod", "shop"]["status"]["history"][2] = {"revision": FIRST, "outcome": "Promoted"}


@pytest.mark.parametrize(
    ("left", "words", "why"),
    [
        ((ONE,), ["--to", "nosuch"], f"nosuch was not promoted, as far as is known; write one of {SECOND}, {FIRST}"),
        ((ONE,), ["--to", SECOND], f"{SECOND} is what is deployed"),
        ((ONE,), ["--to", THIRD], f"{THIRD} was not promoted, as far as is known; write one of {SECOND}, {FIRST}"),
        ((), [], f"{FIRST} can't be set back: no ReplicaSet of it is left (spec.revisionHistoryLimit); deploy it anew"),
    ],
)
def test_where_there_is_no_way_back_nothing_is_written(
    run: Run, server: CanariesServer, left: tuple[Json, ...], words: list[str], why: str
) -> None:
    put(server, TWO, *left)
    assert run("undo", "shop", *words) == (1, [f"canary undo: prod/shop: {why}"])
    assert server.patches == []


def test_what_is_in_the_way_is_one_line_with_its_code(run: Run, server: CanariesServer) -> None:
    assert run("undo", "none") == (1, ['canary undo: canaries.flagger.app "none" not found'])
    target = {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "shop"}
    server.put("shop", spec={**SPEC, "targetRef": target})
    assert run("undo", "shop") == (
        2,
        ["canary undo: prod/shop: its target is a StatefulSet; set that back by kubectl rollout undo"],
    )
    server.refuses = (403, "Forbidden", "User mia cannot get it")
    assert run("undo", "shop") == (2, ["canary undo: not allowed: User mia cannot get it"])


LEAVES = st.one_of(st.integers(), st.text(), st.lists(st.integers(), max_size=2))
MAPS = st.recursive(
    st.dictionaries(st.sampled_from("abc"), LEAVES, max_size=3),
    lambda inner: st.dictionaries(st.sampled_from("abc"), st.one_of(LEAVES, inner), max_size=3),
    max_leaves=8,
)


@given(MAPS, MAPS)
def test_the_patch_leads_from_one_state_to_the_other(before: Json, after: Json) -> None:
    patched = deepcopy(before)
    merged(patched, _merge(before, after))
    assert patched == after
