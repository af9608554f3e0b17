import json
from typing import Any

import pytest

from canary.kube.errors import (
    AlreadyExists,
    Conflict,
    Forbidden,
    Gone,
    Invalid,
    KubeError,
    NotFound,
    NotLeading,
    Retryable,
    ServerError,
    Terminal,
    Throttled,
    Unauthorized,
    Unreachable,
    error_of_answer,
    error_of_network,
    error_of_status,
)

PATH = "/apis/flagger.app/v1beta1/namespaces/test/canaries/podinfo"


def a_status(code: int, reason: str = "", message: str = "no", **details: Any) -> dict[str, Any]:
    return {"kind": "Status", "code": code, "reason": reason, "message": message, "details": details}


def answered(code: int, status: dict[str, Any], path: str = PATH, method: str = "GET", **headers: str) -> KubeError:
    return error_of_answer(method, path, code, headers, json.dumps(status).encode())


@pytest.mark.parametrize(
    ("code", "reason", "expected"),
    [
        (400, "BadRequest", Invalid),
        (401, "Unauthorized", Unauthorized),
        (403, "Forbidden", Forbidden),
        (404, "NotFound", NotFound),
        (405, "MethodNotAllowed", Invalid),
        (409, "AlreadyExists", AlreadyExists),
        (409, "Conflict", Conflict),
        (409, "", Conflict),
        (410, "Expired", Gone),
        (413, "RequestEntityTooLarge", Invalid),
        (415, "UnsupportedMediaType", Invalid),
        (422, "Invalid", Invalid),
        (429, "TooManyRequests", Throttled),
        (500, "InternalError", ServerError),
        (503, "ServiceUnavailable", ServerError),
        (504, "Timeout", ServerError),
    ],
)
def test_a_status_code_maps_to_its_most_specific_error(code: int, reason: str, expected: type[KubeError]) -> None:
    assert type(answered(code, a_status(code, reason))) is expected


@pytest.mark.parametrize("kind", [Unreachable, Throttled, ServerError, Conflict])
def test_what_time_or_a_new_read_may_cure_is_retryable(kind: type[KubeError]) -> None:
    assert issubclass(kind, Retryable)


@pytest.mark.parametrize("kind", [NotFound, AlreadyExists, Invalid, Forbidden, Unauthorized, Gone, NotLeading])
def test_what_needs_a_change_first_is_terminal(kind: type[KubeError]) -> None:
    assert issubclass(kind, Terminal)


def test_invalid_names_the_fields_at_fault() -> None:
    status = a_status(
        422,
        "Invalid",
        "Canary is invalid",
        causes=[{"field": "spec.analysis.threshold", "message": "must be positive", "reason": "FieldValueInvalid"}],
    )

    error = answered(422, status)

    assert isinstance(error, Invalid)
    assert error.causes == (("spec.analysis.threshold", "must be positive"),)


def test_a_field_that_the_schema_lacks_is_invalid_though_the_server_says_500() -> None:
    status = a_status(500, "", "failed to create typed patch object: .spec.x: field not declared in schema")

    assert isinstance(answered(500, status), Invalid)


def test_a_version_ahead_of_the_servers_history_asks_for_a_new_list() -> None:
    assert isinstance(answered(504, a_status(504, "Timeout", "Too large resource version: 9, current: 5")), Gone)


@pytest.mark.parametrize(
    ("headers", "details", "expected"),
    [
        ({"Retry-After": "7"}, {}, 7.0),
        ({}, {"retryAfterSeconds": 3}, 3.0),
        ({"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}, {}, 1.0),
        ({}, {}, 1.0),
    ],
)
def test_throttled_says_how_long_to_wait(headers: dict[str, str], details: dict[str, int], expected: float) -> None:
    status = a_status(429, "TooManyRequests") | {"details": details}

    error = answered(429, status, **headers)

    assert isinstance(error, Throttled)
    assert error.retry_after == expected


def test_nothing_of_a_secret_reaches_the_words() -> None:
    status = a_status(
        422,
        "Invalid",
        'Secret "a" is invalid: data[key]: Invalid value: "hunter2"',
        causes=[{"field": "data[key]", "message": 'Invalid value: "hunter2"', "reason": "FieldValueInvalid"}],
    )

    error = answered(422, status, "/api/v1/namespaces/test/secrets/a", "PATCH")

    assert isinstance(error, Invalid)
    assert "hunter2" not in f"{error} {error.causes}"
    assert error.causes == (("data[key]", "FieldValueInvalid"),)


def test_why_a_secret_cannot_be_read_is_told() -> None:
    status = a_status(403, "Forbidden", 'User "x" cannot get resource "secrets"')

    assert "cannot get" in answered(403, status, "/api/v1/namespaces/test/secrets/a").message


def test_a_body_that_is_no_status_is_left_out() -> None:
    error = error_of_answer("GET", PATH, 502, {}, b"<html>who knows</html>")

    assert str(error) == f"GET {PATH}: HTTP 502"


def test_long_messages_are_trimmed() -> None:
    assert len(answered(422, a_status(422, "Invalid", "x" * 10_000)).message) == 500


@pytest.mark.parametrize("status", [{}, {"code": None, "details": None}, {"details": {"causes": "?"}}])
def test_a_malformed_status_is_still_an_error(status: dict[str, Any]) -> None:
    assert isinstance(error_of_status("GET", PATH, status), ServerError)


def test_an_expired_watch_is_gone() -> None:
    assert isinstance(error_of_status("GET", PATH, a_status(410, "Expired")), Gone)


def test_a_network_error_without_words_is_named_by_its_type() -> None:
    assert error_of_network("GET", PATH, TimeoutError()).message == "TimeoutError"


@pytest.mark.parametrize(
    ("told", "waited"),
    [("7", 7.0), ("3600", 30.0), ("inf", 30.0), ("nan", 30.0), ("-5", 0.0), ("1e999", 30.0), ("tomorrow", 1.0)],
)
def test_no_wait_that_a_server_asks_for_is_longer_than_half_a_minute(told: str, waited: float) -> None:
    error = error_of_answer("GET", "/x", 429, {"Retry-After": told}, b"maintenance")

    assert isinstance(error, Throttled)
    assert error.retry_after == waited


@pytest.mark.parametrize(
    "details", [None, [], {"retryAfterSeconds": []}, {"retryAfterSeconds": {"a": 1}}, {"causes": 5}]
)
def test_details_that_make_no_sense_count_as_none(details: Any) -> None:
    body = json.dumps({"kind": "Status", "code": 503, "details": details}).encode()
    error = error_of_answer("GET", "/x", 503, {}, body)

    assert isinstance(error, ServerError)
    assert error.retry_after is None


def test_an_answer_that_is_too_deep_is_none() -> None:
    assert isinstance(error_of_answer("GET", "/x", 503, {}, b"[" * 100_000), ServerError)
