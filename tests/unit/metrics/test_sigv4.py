"""Signatures, held against AWS' own published test suite (aws-sig-v4-test-suite)."""

import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from metrics.access import aws
from metrics.access.grants import Grants
from metrics.access.own import identity
from metrics.access.sigv4 import signed
from metrics.connections import QUESTIONS
from metrics.errors import MisconfiguredError
from metrics.verdict import Pass, Unavailable, Verdict
from metrics.wire import Request
from outbound.connections import Connections
from tests.tools.judged import evaluate
from tests.unit.metrics.known import NOW
from tests.unit.metrics.test_every_provider import good, question
from tests.unit.outbound.servers import answer, saying, serving

KEYS = {
    "aws_access_key_id": "AKIDEXAMPLE",
    "aws_secret_access_key": "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
}
TOKEN = (
    "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeoIYRqTflfKD8YUuwth"
    "Ax7mSEI/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVXAk"
    "iY9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA=="
)
THEN = datetime(2015, 8, 30, 12, 36, tzinfo=UTC)
HOST = "https://example.amazonaws.com"
FORM = (("Content-Type", "application/x-www-form-urlencoded"),)


@pytest.mark.parametrize(
    ("request_", "session", "names", "signature"),
    [
        (
            Request("GET", f"{HOST}/"),
            {},
            "host;x-amz-date",
            "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
        ),
        (
            Request("GET", f"{HOST}/?Param2=value2&Param1=value1"),
            {},
            "host;x-amz-date",
            "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
        ),
        (
            Request("GET", f"{HOST}/\u1234"),
            {},
            "host;x-amz-date",
            "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85",
        ),
        (
            Request("GET", f"{HOST}/example space/"),
            {},
            "host;x-amz-date",
            "652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741",
        ),
        (
            Request("POST", f"{HOST}/", FORM, b"Param1=value1"),
            {},
            "content-type;host;x-amz-date",
            "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
        ),
        (
            Request("POST", f"{HOST}/"),
            {"aws_session_token": TOKEN},
            "host;x-amz-date;x-amz-security-token",
            "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead",
        ),
    ],
    ids=["vanilla", "query order", "utf8", "space", "form", "session"],
)
def test_a_signature_is_that_of_aws_own_suite(
    request_: Request, session: dict[str, str], names: str, signature: str
) -> None:
    found = signed(request_, KEYS | session, region="us-east-1", service="service", now=THEN, provider="x")
    scope = "AKIDEXAMPLE/20150830/us-east-1/service/aws4_request"
    expected = f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders={names}, Signature={signature}"
    assert found.headers[-1] == ("Authorization", expected)
    assert not any(KEYS["aws_secret_access_key"] in value for _, value in found.headers)


def own(address: str, environment: dict[str, str]) -> object:
    asked = replace(question("cloudwatch", address), credentials={})
    return aws.own(asked, environment, THEN)


STATIC = {"AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": "S3CRET"}


def test_the_controllers_own_role_is_shown_to_aws_alone() -> None:
    keys = {"aws_access_key_id": "AKID", "aws_secret_access_key": "S3CRET"}
    for address in ("", "https://monitoring.eu-west-1.amazonaws.com", "https://vpce-1.monitoring.eu-west-1.api.aws"):
        assert own(address, STATIC) == keys
    for address in (
        "https://amazonaws.com.example.org",
        "https://abc123.execute-api.eu-west-1.amazonaws.com",
        "https://monitoring.eu-west-1.amazonaws.com.example.org",
        "http://monitoring.eu-west-1.amazonaws.com",
        "https://example.org/amazonaws.com",
        "https://x@example.org#.amazonaws.com",
    ):
        with pytest.raises(MisconfiguredError, match="own AWS credentials go to AWS alone; name a Secret"):
            own(address, STATIC)


def test_a_controller_without_a_role_says_what_is_needed() -> None:
    with pytest.raises(MisconfiguredError, match=r"a Secret with aws_access_key_id .* or a role"):
        own("", {})


ROLE = {
    "AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/canary",
    "AWS_WEB_IDENTITY_TOKEN": "S3CRET-of-the-pod",
}


async def asked(address: str, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Verdict:
    """CloudWatch without a Secret; its own host is a local server's."""

    async def identity() -> dict[str, str]:
        return environment

    monkeypatch.setattr("metrics.access.own.identity", identity)
    own_host = re.compile(r"127\.0\.0\.1")
    monkeypatch.setattr(aws, "_OF_AWS", own_host)
    monkeypatch.setattr(aws, "urlsplit", lambda url: urlsplit(url)._replace(scheme="https"))
    async with Connections(QUESTIONS) as connections:
        return await evaluate(replace(question("cloudwatch", address), credentials={}), connections, NOW, Grants())


async def test_the_service_accounts_role_is_fetched_from_aws(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {"AccessKeyId": "ASIA1", "SecretAccessKey": "S3CRET-key", "SessionToken": "S3CRET-session", "Expiration": 1}
    body = {"AssumeRoleWithWebIdentityResponse": {"AssumeRoleWithWebIdentityResult": {"Credentials": given}}}
    async with (
        serving(saying(good("cloudwatch", 4.0))) as server,
        serving(saying(answer(body=json.dumps(body).encode()), answer(403))) as tokens,
    ):
        environment = {**ROLE, "AWS_ENDPOINT_URL_STS": tokens.url}
        verdict = await asked(server.url, environment, monkeypatch)
        assert isinstance(verdict, Pass), verdict.message
        assert server.header("x-amz-security-token") == ["S3CRET-session"]
        assert "Credential=ASIA1/20260304/eu-west-1/monitoring/aws4_request" in server.header("authorization")[0]
        assert parse_qs(tokens.bodies[0].decode())["WebIdentityToken"] == ["S3CRET-of-the-pod"]
        assert "S3CRET" not in tokens.heads[0]
        verdict = await asked(server.url, environment, monkeypatch)
    assert isinstance(verdict, Unavailable)
    assert "AWS' token service: HTTP 403" in verdict.message


async def test_the_role_that_is_associated_with_the_pod_is_fetched_from_the_node(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given = {"AccessKeyId": "ASIA1", "SecretAccessKey": "S3CRET-key", "Token": "S3CRET-session", "AccountId": "1"}
    async with (
        serving(saying(good("cloudwatch", 4.0))) as server,
        serving(saying(answer(body=json.dumps(given).encode()))) as agent,
    ):
        environment = {
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{agent.url}/v1/credentials",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN": "S3CRET-pod",
        }
        verdict = await asked(server.url, environment, monkeypatch)
    assert isinstance(verdict, Pass), verdict.message
    assert agent.header("authorization") == ["S3CRET-pod"]
    assert server.header("x-amz-security-token") == ["S3CRET-session"]


async def test_tokens_of_the_pod_are_read_from_their_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "token").write_text("S3CRET\n")
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(tmp_path / "token"))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "missing"))
    found = await identity()
    assert found["AWS_WEB_IDENTITY_TOKEN"] == "S3CRET"
    assert "GOOGLE_SERVICE_ACCOUNT_KEY" not in found
