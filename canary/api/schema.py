"""From a model to the structural OpenAPI schema that a CRD wants: no references, no null, descriptions from the source.

A field's `json_schema_extra` goes into the schema as it is, but for four words of ours: `x-crd-required` (absent is
read, but not accepted by the API server), `x-crd-default` (the API server fills the default in), `x-crd-allow-empty`
(the enum has an empty word too), `x-crd-longest` (the longest duration). A default that isn't marked stays out: it
would be written into objects from Git.
"""

import ast
import inspect
import sys
from datetime import datetime
from enum import StrEnum
from functools import cache
from itertools import pairwise
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import WithJsonSchema
from pydantic.fields import FieldInfo

from canary.api.bounds import LONGEST
from canary.api.durations import duration_schema
from canary.api.meta import JsonObject, Model

_PLAIN: dict[object, str] = {str: "string", int: "integer", float: "number", bool: "boolean"}


def model_schema(model: type[Model]) -> JsonObject:
    """The structural schema of a model.

    Raises:
        TypeError: a field has a type that no structural schema can say.
    """
    docs = _field_docs(model)
    properties: JsonObject = {}
    required = []
    for name, field in model.model_fields.items():
        alias = field.alias or name
        properties[alias] = _field_schema(field, docs.get(name, ""))
        if field.is_required() or _extra(field).get("x-crd-required"):
            required.append(alias)
    schema: JsonObject = {"type": "object", "description": _first_line(inspect.getdoc(model) or "")}
    if required:
        schema["required"] = required
    schema["properties"] = properties
    return schema | _model_extra(model)


def _model_extra(model: type[Model]) -> JsonObject:
    extra = model.model_config.get("json_schema_extra")
    return dict(extra) if isinstance(extra, dict) else {}


def _extra(field: FieldInfo) -> JsonObject:
    return dict(field.json_schema_extra) if isinstance(field.json_schema_extra, dict) else {}


def _field_schema(field: FieldInfo, doc: str) -> JsonObject:
    schema = _annotated_schema(field.annotation, tuple(field.metadata))
    extra = _extra(field)
    if extra.pop("x-crd-allow-empty", False):
        schema["enum"] = ["", *schema["enum"]]
    if extra.pop("x-crd-default", False):
        schema["default"] = field.default
    extra.pop("x-crd-required", None)
    if longest := extra.pop(LONGEST, ""):
        schema |= duration_schema(longest)
    described = {"description": doc} if doc else {}
    return schema | described | extra


def _annotated_schema(annotation: Any, metadata: tuple[Any, ...]) -> JsonObject:
    for each in metadata:
        if isinstance(each, WithJsonSchema) and each.json_schema is not None:
            return dict(each.json_schema)
    return _type_schema(annotation)


def _type_schema(annotation: Any) -> JsonObject:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _annotated_schema(arguments[0], arguments[1:])
    if origin in {Union, UnionType}:
        return _optional_schema(annotation)
    if origin is tuple:
        return {"type": "array", "items": _type_schema(arguments[0])}
    if origin is dict:
        return {"type": "object", "additionalProperties": _type_schema(arguments[1])}
    return _class_schema(annotation)


def _optional_schema(annotation: Any) -> JsonObject:
    """A null is the same as an absent field, so that a nullable type is the type itself."""
    inner = [each for each in get_args(annotation) if each is not type(None)]
    if len(inner) != 1:
        msg = f"a structural schema has no {annotation}"
        raise TypeError(msg)
    return _type_schema(inner[0])


def _class_schema(annotation: Any) -> JsonObject:
    if annotation in _PLAIN:
        return {"type": _PLAIN[annotation]}
    if annotation is datetime:
        return {"type": "string", "format": "date-time"}
    if isinstance(annotation, type) and issubclass(annotation, StrEnum):
        return {"type": "string", "enum": [each.value for each in annotation]}
    if isinstance(annotation, type) and issubclass(annotation, Model):
        return model_schema(annotation)
    msg = f"a structural schema has no {annotation}"
    raise TypeError(msg)


@cache
def _field_docs(model: type[Model]) -> dict[str, str]:
    """The string under each field in the source, of the model and what it inherits from."""
    docs: dict[str, str] = {}
    for each in reversed(model.__mro__):
        if issubclass(each, Model) and each is not Model:
            docs |= _own_docs(each)
    return docs


def _own_docs(model: type[Model]) -> dict[str, str]:
    docs = {}
    body = _classes(model.__module__)[model.__name__].body
    for statement, following in pairwise(body):
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            text = _string(following)
            if text:
                docs[statement.target.id] = text
    return docs


@cache
def _classes(module: str) -> dict[str, ast.ClassDef]:
    """The classes of a module by name, as its source has them."""
    parsed = ast.parse(inspect.getsource(sys.modules[module]))
    return {each.name: each for each in parsed.body if isinstance(each, ast.ClassDef)}


def _string(statement: ast.stmt) -> str:
    match statement:
        case ast.Expr(value=ast.Constant(value=str(text))):
            return " ".join(text.split())
    return ""


def _first_line(text: str) -> str:
    return text.partition("\n")[0]


def field_types(schema: JsonObject) -> dict[str, str]:
    """Every field of a structural schema with its type: `spec.hosts[]` is an item, `spec.labels.*` a map's value."""
    found: dict[str, str] = {}
    _collect_types(schema, "", found)
    return found


def _collect_types(schema: JsonObject, path: str, found: dict[str, str]) -> None:
    if path:
        found[path] = "int-or-string" if schema.get("x-kubernetes-int-or-string") else schema["type"]
    for name, inner in schema.get("properties", {}).items():
        _collect_types(inner, f"{path}.{name}" if path else name, found)
    if "items" in schema:
        _collect_types(schema["items"], f"{path}[]", found)
    values = schema.get("additionalProperties")
    if isinstance(values, dict):
        _collect_types(values, f"{path}.*", found)


def plain_fields(schema: JsonObject) -> dict[str, JsonObject]:
    """The schema of every field that holds a value of its own, and not only other fields, by its path.

    A list or a map of plain values is one field: `spec.hosts`, not `spec.hosts[]`.
    """
    found: dict[str, JsonObject] = {}
    _collect_plain(schema, "", found)
    return found


def _collect_plain(schema: JsonObject, path: str, found: dict[str, JsonObject]) -> None:
    for name, field in schema.get("properties", {}).items():
        where, inner = f"{path}.{name}" if path else name, field
        steps = ""
        while "items" in inner or isinstance(inner.get("additionalProperties"), dict):
            steps += "[]" if "items" in inner else ".*"
            inner = inner.get("items") or inner["additionalProperties"]
        if "properties" in inner:
            _collect_plain(inner, where + steps, found)
        else:
            found[where] = field
