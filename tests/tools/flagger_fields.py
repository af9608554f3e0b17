"""Write down which fields Flagger's CRDs have: `python tests/tools/flagger_fields.py CRD.yaml > flagger-fields.json`.

CRD.yaml is `artifacts/flagger/crd.yaml` of the fluxcd/flagger release that we keep to. The result is committed as
`tests/unit/api/flagger-fields.json`; it holds facts only: paths, types, the words of enums, and printer columns.
"""

import json
import sys
from pathlib import Path
from typing import Any

import yaml

from canary.api.schema import field_types


def _enums(schema: dict[str, Any], path: str) -> dict[str, list[str]]:
    found = {path: schema["enum"]} if "enum" in schema else {}
    for name, inner in schema.get("properties", {}).items():
        found |= _enums(inner, f"{path}.{name}" if path else name)
    if "items" in schema:
        found |= _enums(schema["items"], f"{path}[]")
    return found


def _facts(crd: dict[str, Any]) -> dict[str, Any]:
    (version,) = crd["spec"]["versions"]
    schema = version["schema"]["openAPIV3Schema"]
    return {
        "columns": version["additionalPrinterColumns"],
        "enums": _enums(schema, ""),
        "types": field_types(schema),
    }


def main() -> None:
    """Print the facts of every CRD in the file."""
    documents = yaml.safe_load_all(Path(sys.argv[1]).read_text(encoding="utf-8"))
    facts = {crd["spec"]["names"]["kind"]: _facts(crd) for crd in documents}
    sys.stdout.write(json.dumps(facts, indent=1) + "\n")


if __name__ == "__main__":
    main()
