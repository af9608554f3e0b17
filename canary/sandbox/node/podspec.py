"""What a pod's spec asks for, worked out without touching anything: environment, files, ports."""

import base64
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from canary.kube.types import Json

Data = Mapping[str, bytes]
Lookup = Callable[[str, str], Data | None]
"""From (`ConfigMap` or `Secret`, name) to its contents, in the pod's namespace; None where there is none."""

_REFERENCE = re.compile(r"\$\$|\$\(([A-Za-z_][A-Za-z0-9_.-]*)\)")


class MissingReferenceError(LookupError):
    """The spec refers to a ConfigMap, a Secret or a key that does not exist."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Where a pod is and what it is called."""

    namespace: str
    name: str
    uid: str
    ip: str
    node: str
    node_ip: str


def contents(obj: Json) -> Data:
    """What a ConfigMap or a Secret holds, as bytes."""
    if obj.get("kind") == "Secret":
        return {key: base64.b64decode(value) for key, value in (obj.get("data") or {}).items()}
    plain = {key: str(value).encode() for key, value in (obj.get("data") or {}).items()}
    binary = {key: base64.b64decode(value) for key, value in (obj.get("binaryData") or {}).items()}
    return plain | binary


def references(pod: Json) -> set[tuple[str, str]]:
    """Every (`ConfigMap` or `Secret`, name) that the pod's spec mentions."""
    found: set[tuple[str, str]] = set()
    for container in [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]:
        for source in container.get("envFrom", []):
            found |= _named(source, "configMapRef", "secretRef", "name")
        for variable in container.get("env", []):
            found |= _named(variable.get("valueFrom", {}), "configMapKeyRef", "secretKeyRef", "name")
    for volume in pod["spec"].get("volumes", []):
        for source in [volume, *volume.get("projected", {}).get("sources", [])]:
            found |= _named(source, "configMap", "secret", "name") | _named(source, "configMap", "secret", "secretName")
    return found


def _named(source: Json, config_map: str, secret: str, field: str) -> set[tuple[str, str]]:
    kinds = (("ConfigMap", config_map), ("Secret", secret))
    return {(kind, source[key][field]) for kind, key in kinds if field in source.get(key, {})}


def environment(pod: Json, container: Json, identity: Identity, lookup: Lookup) -> dict[str, str]:
    """The variables that the container's program gets.

    Raises:
        MissingReferenceError: one comes from something that does not exist and is not optional.
    """
    variables = _own(container, identity)
    for source in container.get("envFrom", []):
        for kind, key in (("ConfigMap", "configMapRef"), ("Secret", "secretRef")):
            if key in source:
                data = _look_up(kind, source[key], lookup)
                variables |= {source.get("prefix", "") + name: value.decode() for name, value in data.items()}
    for entry in container.get("env", []):
        value = _value(entry, pod, identity, lookup)
        if value is not None:
            variables[entry["name"]] = expand(value, variables)
    return variables


def _own(container: Json, identity: Identity) -> dict[str, str]:
    """Variables that every container gets: programs share one network and must know where to listen."""
    ports = container.get("ports", [])
    own = {"POD_NAME": identity.name, "POD_NAMESPACE": identity.namespace, "POD_IP": identity.ip}
    own |= {"HOSTNAME": identity.name, "HOST": identity.ip}
    return own | ({"PORT": str(ports[0]["containerPort"])} if ports else {})


def _value(entry: Json, pod: Json, identity: Identity, lookup: Lookup) -> str | None:
    source = entry.get("valueFrom")
    if source is None:
        return str(entry.get("value", ""))
    for kind, key in (("ConfigMap", "configMapKeyRef"), ("Secret", "secretKeyRef")):
        if key in source:
            reference = source[key]
            value = _look_up(kind, reference, lookup).get(reference["key"])
            if value is None and not reference.get("optional"):
                raise MissingReferenceError(f"{kind} {reference['name']} has no key {reference['key']}")
            return None if value is None else value.decode()
    return field(source.get("fieldRef", {}).get("fieldPath", ""), pod, identity)


def field(path: str, pod: Json, identity: Identity) -> str:
    """The value of a pod's field, as the downward API names it; empty where it names none that we know."""
    plain: dict[str, str] = {
        "metadata.name": identity.name,
        "metadata.namespace": identity.namespace,
        "metadata.uid": identity.uid,
        "spec.nodeName": identity.node,
        "spec.serviceAccountName": str(pod["spec"].get("serviceAccountName", "default")),
        "status.podIP": identity.ip,
        "status.podIPs": identity.ip,
        "status.hostIP": identity.node_ip,
    }
    if path in plain:
        return plain[path]
    match = re.fullmatch(r"metadata\.(labels|annotations)\['(.+)'\]", path)
    return str(pod["metadata"].get(match[1], {}).get(match[2], "")) if match else ""


def _look_up(kind: str, reference: Json, lookup: Lookup) -> Data:
    data = lookup(kind, reference["name"])
    if data is None and not reference.get("optional"):
        raise MissingReferenceError(f"{kind} {reference['name']} does not exist")
    return data or {}


def expand(text: str, variables: Mapping[str, str]) -> str:
    """Replace `$(NAME)` by the variable's value; unknown ones stay, and `$$` is a dollar."""

    def replacement(match: re.Match[str]) -> str:
        return "$" if match[1] is None else variables.get(match[1], match[0])

    return _REFERENCE.sub(replacement, text)


def files(pod: Json, container: Json, identity: Identity, lookup: Lookup) -> dict[str, bytes]:
    """The files that the container's volume mounts hold: from path (as in the spec) to contents.

    Raises:
        MissingReferenceError: one comes from something that does not exist and is not optional.
    """
    volumes = {volume["name"]: volume for volume in pod["spec"].get("volumes", [])}
    found: dict[str, bytes] = {}
    for mount in container.get("volumeMounts", []):
        held = _volume(volumes.get(mount["name"], {}), pod, identity, lookup)
        sub_path = mount.get("subPath")
        if sub_path is None:
            found |= {f"{mount['mountPath'].rstrip('/')}/{name}": data for name, data in held.items()}
        elif sub_path in held:
            found[mount["mountPath"]] = held[sub_path]
    return found


def _volume(volume: Json, pod: Json, identity: Identity, lookup: Lookup) -> dict[str, bytes]:
    held: dict[str, bytes] = {}
    for source in [volume, *volume.get("projected", {}).get("sources", [])]:
        for kind, key in (("ConfigMap", "configMap"), ("Secret", "secret")):
            if key in source:
                reference = source[key]
                named = {**reference, "name": reference.get("name") or reference.get("secretName")}
                held |= _items(_look_up(kind, named, lookup), reference)
        for item in source.get("downwardAPI", {}).get("items", []):
            held[item["path"]] = field(item.get("fieldRef", {}).get("fieldPath", ""), pod, identity).encode()
    return held


def _items(data: Data, reference: Json) -> dict[str, bytes]:
    items = reference.get("items")
    if items is None:
        return dict(data)
    return {item["path"]: data[item["key"]] for item in items if item["key"] in data}


def port_number(value: int | str, container: Json) -> int:
    """A port of the container, by number or by name; 0 where no port has that name."""
    if isinstance(value, int):
        return value
    named = {port.get("name"): int(port["containerPort"]) for port in container.get("ports", [])}
    return int(value) if value.isdigit() else named.get(value, 0)
