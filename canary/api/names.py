"""Names, labels and annotations of generated objects that the API server would refuse."""

import re
from collections.abc import Iterator, Mapping

from canary.api.canary import Canary
from canary.api.problems import Problem
from canary.api.service import CustomMetadata

_DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_WORD = r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
_PREFIX = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"
_QUALIFIED = re.compile(rf"({_PREFIX}/)?{_WORD}")
_LABEL_VALUE = re.compile(rf"({_WORD})?")
_LABEL = "write small letters, digits and hyphens, 63 at most"


def services(canary: Canary, _provider: str) -> Iterator[Problem]:
    """Those of the Services."""
    service = canary.spec.service
    if not canary.is_copied:
        return
    # One that is too long is told elsewhere.
    if canary.service_name and not _DNS_LABEL.fullmatch(canary.service_name[:63].rstrip("-")):
        remedy = "set one of small letters, digits and hyphens"
        yield Problem("spec.service.name", f"{canary.service_name!r} is no name of a Service", remedy)
    ports = [("spec.service", "portName", service.first_port)]
    ports += [(f"spec.service.ports[{index}]", "name", port) for index, port in enumerate(service.ports)]
    for field, name, port in ports:
        if not _DNS_LABEL.fullmatch(port.name):
            yield Problem(f"{field}.{name}", f"{port.name!r} is no name of a port", _LABEL)
        if port.app_protocol and not _QUALIFIED.fullmatch(port.app_protocol):
            remedy = "write one such as http or kubernetes.io/h2c"
            yield Problem(f"{field}.appProtocol", f"{port.app_protocol!r} is no protocol", remedy)
    for side, custom in (("apex", service.apex), ("primary", service.primary), ("canary", service.canary)):
        yield from _metadata(f"spec.service.{side}", custom)


def _metadata(field: str, custom: CustomMetadata) -> Iterator[Problem]:
    yield from _keys(f"{field}.labels", custom.labels)
    yield from _keys(f"{field}.annotations", custom.annotations)
    for key, value in custom.labels.items():
        if not _LABEL_VALUE.fullmatch(value):
            remedy = "write 63 letters, digits, '-', '_' and '.' at most, with a letter or digit at both ends"
            yield Problem(f"{field}.labels[{key}]", f"{value!r} is no value of a label", remedy)


def _keys(field: str, entries: Mapping[str, str]) -> Iterator[Problem]:
    for key in entries:
        if not _QUALIFIED.fullmatch(key):
            yield Problem(field, f"{key!r} is no key", "write one such as team or example.com/team")
