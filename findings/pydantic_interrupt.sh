#!/usr/bin/env bash
# pydantic 2.14.3: Ctrl-C in a serializer is no KeyboardInterrupt, but a PydanticSerializationError, which is an Exception.
#
# A KeyboardInterrupt that comes while a field_serializer runs leaves model_dump() as an ordinary error, with the
# interruption as its __cause__, and model_dump_json() as one without any: `except Exception` goes on with the program
# that should have ended, and `except KeyboardInterrupt` ends it with a traceback. Validators let it through.
#
# Exits with 0 where this is so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pydantic==2.14.3
"$folder/venv/bin/python" - <<'PYTHON'
from pydantic import BaseModel, field_serializer, field_validator


class Serialized(BaseModel):
    field: int = 1

    @field_serializer("field")
    def interrupted(self, value: int) -> int:
        raise KeyboardInterrupt


class Validated(BaseModel):
    field: int

    @field_validator("field")
    @classmethod
    def interrupted(cls, value: int) -> int:
        raise KeyboardInterrupt


def raised(call):
    try:
        call()
    except BaseException as error:
        return type(error).__name__, type(error.__cause__).__name__


seen = [raised(Serialized().model_dump), raised(Serialized().model_dump_json), raised(lambda: Validated(field=1))]
for what, (error, cause) in zip(("model_dump", "model_dump_json", "validation"), seen, strict=True):
    print(f"{what:16} raises {error}, caused by {cause}")
assert seen == [
    ("PydanticSerializationError", "KeyboardInterrupt"),
    ("PydanticSerializationError", "NoneType"),
    ("KeyboardInterrupt", "NoneType"),
]
PYTHON
