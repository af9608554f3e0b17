"""What the API server knows its users by."""

import base64
import json
import stat
from pathlib import Path

from canary.sandbox import credentials, prometheus
from canary.sandbox.controlplane import write_audit_policy
from canary.sandbox.gateways.traefik import TRAEFIK
from canary.sandbox.prometheus import Scraping


def test_tokens_differ_and_name_their_groups(tmp_path: Path) -> None:
    users = [credentials.make_user("a", "x", "y"), credentials.make_user("b")]
    credentials.write_tokens(users, tmp_path / "tokens.csv")
    first, second = (tmp_path / "tokens.csv").read_text().splitlines()
    assert first.endswith(',a,a,"x,y"')
    assert second.endswith(',b,b,""')
    assert users[0].token != users[1].token


def test_the_signing_key_is_an_elliptic_curve_key_that_others_cannot_read(tmp_path: Path) -> None:
    path = tmp_path / "key"
    credentials.write_signing_key(path)
    first, *body, last = path.read_text().splitlines()
    assert (first, last) == ("-----BEGIN EC PRIVATE KEY-----", "-----END EC PRIVATE KEY-----")
    encoded = base64.b64decode("".join(body))
    assert encoded[1] == len(encoded) - 2
    assert bytes.fromhex("06082a8648ce3d030107") in encoded
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_kubeconfig_holds_all_that_a_client_needs(tmp_path: Path) -> None:
    (tmp_path / "ca.crt").write_text("PEM")
    user = credentials.User("admin", "secret")
    path = tmp_path / "kubeconfig"
    credentials.write_kubeconfig(path, user=user, server="https://x:1", certificate=tmp_path / "ca.crt")
    config = json.loads(path.read_text())
    (cluster,), (entry,) = config["clusters"], config["users"]
    assert cluster["cluster"]["server"] == "https://x:1"
    assert base64.b64decode(cluster["cluster"]["certificate-authority-data"]) == b"PEM"
    assert entry["user"]["token"] == "secret"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_only_the_audited_users_are_recorded(tmp_path: Path) -> None:
    write_audit_policy(tmp_path / "policy", ["controller"])
    rules = json.loads((tmp_path / "policy").read_text())["rules"]
    assert [rule["level"] for rule in rules] == ["Metadata", "None"]
    assert rules[0]["users"] == ["controller"]
    write_audit_policy(tmp_path / "policy", [])
    assert [rule["level"] for rule in json.loads((tmp_path / "policy").read_text())["rules"]] == ["None"]


def test_prometheus_scrapes_pods_the_gateway_and_what_is_given() -> None:
    scraping = Scraping("5s", {"controller": ["10.0.0.100:8080"]})
    config = prometheus.configuration(scraping, TRAEFIK.scraping, Path("kubeconfig"))
    assert config["global"]["scrape_interval"] == "5s"
    jobs = {job["job_name"]: job for job in config["scrape_configs"]}
    assert set(jobs) == {"traefik", "controller", "kubernetes-pods"}
    assert jobs["controller"]["static_configs"] == [{"targets": ["10.0.0.100:8080"]}]
    assert jobs["kubernetes-pods"]["kubernetes_sd_configs"][0]["kubeconfig_file"] == "kubeconfig"
