"""`canary diff`: what a promotion, or a file, would change in the cluster."""

import json
from pathlib import Path
from typing import Any

import yaml

from canary.api.canary import parse_canary
from canary.workloads.base import Rules
from canary.workloads.configs import ConfigKind, ConfigRef, checksum, primary_copy
from canary.workloads.deployment import Deployment
from tests.unit.cli.canaries_server import SPEC, CanariesServer, Run
from tests.unit.cli.running import deployment

Json = dict[str, Any]

CANARY = {"apiVersion": "flagger.app/v1beta1", "kind": "Canary", "metadata": {"name": "shop", "namespace": "prod"}}


def config(kind: str = "ConfigMap", **data: str) -> Json:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": "app", "namespace": "prod"}, "data": data}


def reading(target: Json, kind: str = "ConfigMap") -> Json:
    field, name = ("configMapRef", "name") if kind == "ConfigMap" else ("secretRef", "name")
    target["spec"]["template"]["spec"]["containers"][0]["envFrom"] = [{field: {name: "app"}}]
    return target


def put(server: CanariesServer, promoted: Json, deployed: Json, *configs: tuple[Json, Json]) -> None:
    """A Canary of which one is promoted and another deployed, with configuration as promoted and as it is."""
    canary = parse_canary({**CANARY, "spec": SPEC})
    kinds = {"ConfigMap": ConfigKind.CONFIG_MAP, "Secret": ConfigKind.SECRET}
    tracked = {ConfigRef(kinds[old["kind"]], "app").key: checksum(old) for old, _ in configs}
    primary = Deployment().primary(promoted, canary, tracked=tracked, rules=Rules())
    server.put("shop", status={"phase": "Succeeded"})
    server.beside = {"deployments": [deployed, primary], "configmaps": [], "secrets": []}
    for old, new in configs:
        copy = primary_copy(old, canary, rules=Rules())
        server.beside[f"{new['kind'].lower()}s"] += [new, copy]


def test_what_is_promoted_as_it_is_deployed_has_no_difference(run: Run, server: CanariesServer) -> None:
    put(server, reading(deployment()), reading(deployment()), (config(a="1"), config(a="1")))
    assert run("diff", "shop") == (0, [])
    assert run("diff", "shop", "-o", "json") == (0, ["[]"])


def test_a_new_image_is_a_line_out_and_a_line_in(run: Run, server: CanariesServer) -> None:
    put(server, deployment(), deployment(image="shop:2"))
    code, lines = run("diff", "shop")
    assert code == 1
    assert lines[:2] == [
        "--- Deployment prod/shop-primary (promoted)",
        "+++ Deployment prod/shop-primary (as shop is deployed)",
    ]
    assert [each for each in lines[2:] if each[0] in "+-"] == ["-    - image: shop:1", "+    - image: shop:2"]


def test_configuration_that_differs_is_shown(run: Run, server: CanariesServer) -> None:
    put(server, reading(deployment()), reading(deployment()), (config(a="1"), config(a="2")))
    code, lines = run("diff", "shop")
    assert code == 1
    assert "--- ConfigMap prod/app-primary (promoted)" in lines
    assert {"-a: '1'", "+a: '2'"} <= set(lines)


def test_no_value_of_a_secret_is_shown(run: Run, server: CanariesServer) -> None:
    old, new = config("Secret", same="c2FtZQ==", other="b2xk"), config("Secret", same="c2FtZQ==", other="bmV3")
    put(server, reading(deployment(), "Secret"), reading(deployment(), "Secret"), (old, new))
    _, lines = run("diff", "shop")
    text = "\n".join(lines)
    assert not any(each in text for each in ("c2FtZQ==", "b2xk", "bmV3"))
    assert [each.split(":")[0] for each in lines if each[:1] in "+-" and "hidden" in each] == ["-other", "+other"]


def written(folder: Path, **spec: Any) -> str:
    path = folder / "canary.yaml"
    path.write_text(yaml.safe_dump({**CANARY, "spec": {**SPEC, **spec}}))
    return str(path)


def test_a_file_is_compared_with_what_is_stored(run: Run, server: CanariesServer, tmp_path: Path) -> None:
    server.put("shop", status={"phase": "Succeeded"})
    assert run("diff", "-f", written(tmp_path)) == (0, [])
    code, lines = run("diff", "-f", written(tmp_path, analysis={**SPEC["analysis"], "maxWeight": 30}))
    assert code == 1
    assert lines[:2] == ["--- Canary prod/shop (in the cluster)", f"+++ Canary prod/shop ({tmp_path}/canary.yaml)"]
    assert [each.strip() for each in lines[2:] if each[0] in "+-"] == ["-    maxWeight: 50", "+    maxWeight: 30"]


def test_what_the_schema_fills_in_is_no_difference(run: Run, server: CanariesServer, tmp_path: Path) -> None:
    ref = {"name": "gateway"}
    stored = {"group": "gateway.networking.k8s.io", "kind": "Gateway", **ref}
    server.put("shop", spec={**SPEC, "service": {"port": 80, "gatewayRefs": [stored]}})
    assert run("diff", "-f", written(tmp_path, service={"port": 80, "gatewayRefs": [ref]})) == (0, [])


def test_what_is_not_in_the_cluster_is_all_new(run: Run, server: CanariesServer, tmp_path: Path) -> None:
    code, lines = run("diff", "-f", written(tmp_path), "-o", "json")
    assert code == 1
    (found,) = json.loads("\n".join(lines))
    assert found["object"] == "Canary prod/shop"
    assert found["diff"].startswith("--- (not in the cluster)")


def test_what_is_in_the_way_is_one_line_and_no_difference(run: Run, server: CanariesServer, tmp_path: Path) -> None:
    assert run("diff", "none") == (2, ['canary diff: canaries.flagger.app "none" not found'])
    assert run("diff")[0] == 2
    assert run("diff", "shop", "-f", written(tmp_path))[0] == 2
    assert run("diff", "-f", str(tmp_path / "none.yaml"))[0] == 2
    target = {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "shop"}
    server.put("shop", spec={**SPEC, "targetRef": target})
    code, lines = run("diff", "shop")
    assert (code, len(lines)) == (2, 1)
    server.refuses = (403, "Forbidden", "User mia cannot get it")
    assert run("diff", "shop") == (2, ["canary diff: not allowed: User mia cannot get it"])
