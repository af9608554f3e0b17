"""Write `crds/` from the models: `python -m canary.api.crds`; with `--check`, say what differs and exit with 1."""

import argparse
import difflib
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import yaml

from canary.api import validations
from canary.api.alertprovider import AlertProvider
from canary.api.canary import Canary
from canary.api.fleet import CanaryFleet
from canary.api.meta import API_VERSION, FLEET_API_VERSION, JsonObject, Resource
from canary.api.metrictemplate import MetricTemplate
from canary.api.schema import model_schema
from canary.api.v1beta2 import table
from canary.api.v1beta2.schema import v1beta2_schema
from canary.api.v1beta2.words import field_in

HEADER: Final = "# Generated from canary/api by `python -m canary.api.crds`; change the models, not this file.\n"
FOLDER: Final = Path(__file__).resolve().parents[2] / "crds"

_TYPE_META: Final[JsonObject] = {
    "apiVersion": {"type": "string", "description": "Version of this object's schema."},
    "kind": {"type": "string", "description": "Kind of this object."},
    "metadata": {"type": "object"},
}


@dataclass(frozen=True, slots=True)
class Column:
    """A column that `kubectl get` prints; wide ones with `-o wide` only."""

    name: str
    path: str
    type: str = "string"
    wide: bool = False

    def to_json(self) -> JsonObject:
        """The column as a CRD has it."""
        column: JsonObject = {"name": self.name, "type": self.type, "jsonPath": self.path}
        return column | {"priority": 1} if self.wide else column


@dataclass(frozen=True, slots=True)
class Definition:
    """What a CRD says beyond the schema of its model."""

    model: type[Resource]
    plural: str
    short_name: str
    columns: tuple[Column, ...]
    rules: Mapping[str, list[JsonObject]] = field(default_factory=dict)
    api_version: str = API_VERSION

    @property
    def group(self) -> str:
        """The group that the kind belongs to."""
        return self.api_version.partition("/")[0]

    @property
    def file_name(self) -> str:
        """Name of the file in `crds/`."""
        return f"{self.plural}.yaml"


DEFINITIONS: Final = (
    Definition(
        model=Canary,
        plural="canaries",
        short_name="can",
        columns=(
            Column("Status", ".status.phase"),
            Column("Weight", ".status.canaryWeight"),
            Column("Suspended", ".spec.suspend", type="boolean", wide=True),
            Column("FailedChecks", ".status.failedChecks", wide=True),
            Column("Interval", ".spec.analysis.interval", wide=True),
            Column("Mirror", ".spec.analysis.mirror", type="boolean", wide=True),
            Column("StepWeight", ".spec.analysis.stepWeight", wide=True),
            Column("StepWeights", ".spec.analysis.stepWeights", wide=True),
            Column("MaxWeight", ".spec.analysis.maxWeight", wide=True),
            Column("LastTransitionTime", ".status.lastTransitionTime"),
            Column("Target", ".spec.targetRef.name", wide=True),
            Column("Reason", ".status.reason", wide=True),
            Column("Message", ".status.message", wide=True),
        ),
        rules=validations.CANARY,
    ),
    Definition(
        model=MetricTemplate,
        plural="metrictemplates",
        short_name="mtpl",
        columns=(Column("Provider", ".spec.provider.type"),),
        rules=validations.METRIC_TEMPLATE,
    ),
    Definition(
        model=AlertProvider,
        plural="alertproviders",
        short_name="alp",
        columns=(Column("Type", ".spec.type"),),
        rules=validations.ALERT_PROVIDER,
    ),
    Definition(
        model=CanaryFleet,
        plural="canaryfleets",
        short_name="cfl",
        columns=(
            Column("Status", ".status.phase"),
            Column("Release", ".status.release"),
            Column("Passed", ".status.progress"),
            Column("Wave", ".status.wave", type="integer"),
            Column("Started", ".status.started", type="date"),
            Column("Mode", ".spec.mode", wide=True),
            Column("OnFailure", ".spec.onFailure", wide=True),
            Column("Reason", ".status.reason", wide=True),
            Column("Message", ".status.message", wide=True),
        ),
        rules=validations.CANARY_FLEET,
        api_version=FLEET_API_VERSION,
    ),
)


def custom_resource_definition(definition: Definition) -> JsonObject:
    """The CRD as the API server takes it."""
    kind = definition.model.__name__
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"{definition.plural}.{definition.group}",
            # Helm would delete every Canary of the cluster with the chart.
            "annotations": {"helm.sh/resource-policy": "keep"},
        },
        "spec": {
            "group": definition.group,
            "names": {
                "kind": kind,
                "listKind": f"{kind}List",
                "plural": definition.plural,
                "singular": kind.lower(),
                "shortNames": [definition.short_name],
                "categories": ["all"],
            },
            "scope": "Namespaced",
            "versions": [
                {
                    "name": definition.api_version.partition("/")[2],
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": [column.to_json() for column in definition.columns],
                    "schema": {"openAPIV3Schema": root_schema(definition)},
                }
            ],
        },
    }


def newer_version() -> JsonObject:
    """What the CRD of Canaries has besides, where v1beta2 is served: it is stored as v1beta1, and converted."""
    (canaries,) = (each for each in DEFINITIONS if each.model is Canary)
    columns = (replace(each, path=f".{field_in(each.path.removeprefix('.'))}") for each in canaries.columns)
    return {
        "name": table.VERSION,
        "served": True,
        "storage": False,
        "subresources": {"status": {}},
        "additionalPrinterColumns": [column.to_json() for column in columns],
        "schema": {"openAPIV3Schema": v1beta2_schema(root_schema(canaries))},
    }


def root_schema(definition: Definition) -> JsonObject:
    """The structural schema with the CEL rules in their places."""
    schema = model_schema(definition.model)
    schema["required"] = ["spec"]
    schema["properties"] |= _TYPE_META
    for path, rules in definition.rules.items():
        schema_at(schema, path)["x-kubernetes-validations"] = rules
    return schema


def schema_at(schema: JsonObject, path: str) -> JsonObject:
    """The schema of a field, such as `spec.analysis.metrics[].name`.

    Raises:
        KeyError: there is no such field.
    """
    for part in path.split("."):
        schema = schema["properties"][part.removesuffix("[]")]
        if part.endswith("[]"):
            schema = schema["items"]
    return schema


class _Dumper(yaml.SafeDumper):
    """Writes every part out: anchors would hide that two of them are the same."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def render(definition: Definition) -> str:
    """The file in `crds/`."""
    document = custom_resource_definition(definition)
    return HEADER + yaml.dump(document, Dumper=_Dumper, sort_keys=False, width=110, allow_unicode=True)


def _differences(folder: Path) -> str:
    parts: list[str] = []
    for definition in DEFINITIONS:
        file = folder / definition.file_name
        there = file.read_text(encoding="utf-8") if file.exists() else ""
        parts += difflib.unified_diff(
            there.splitlines(keepends=True),
            render(definition).splitlines(keepends=True),
            fromfile=str(file),
            tofile="the models",
        )
    return "".join(parts)


def main(arguments: Sequence[str] | None = None) -> int:
    """Write or check the files; the exit status is 1 where a check finds a difference."""
    parser = argparse.ArgumentParser(prog="python -m canary.api.crds", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, exit with 1 where a file differs")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="folder of the files (default: %(default)s)")
    options = parser.parse_args(arguments)
    folder: Path = options.folder
    if options.check:
        differences = _differences(folder)
        sys.stdout.write(differences)
        return 1 if differences else 0
    folder.mkdir(parents=True, exist_ok=True)
    for definition in DEFINITIONS:
        (folder / definition.file_name).write_text(render(definition), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
