"""The client against a real HTTP server: what goes over the wire, and what comes back as what."""

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from structlog.testing import capture_logs

from canary.kube.client import KubeClient
from canary.kube.connection import Connection, open_plain
from canary.kube.errors import (
    AlreadyExists,
    Conflict,
    Invalid,
    NotFound,
    NotLeading,
    ServerError,
    Throttled,
    Unreachable,
)
from canary.kube.types import CANARY, CONFIG_MAP, DEPLOYMENT, LEASE, NAMESPACE, SECRET

if TYPE_CHECKING:
    from tests.unit.kube.conftest import ApiServer


async def test_get_reads_one_object(api: "ApiServer", client: KubeClient) -> None:
    api.answer({"kind": "Deployment", "metadata": {"name": "podinfo"}})

    got = await client.get(DEPLOYMENT, "test", "podinfo")

    assert got["metadata"]["name"] == "podinfo"
    assert (api.asked[0].method, api.asked[0].path) == (
        "GET",
        "/apis/apps/v1/namespaces/test/deployments/podinfo",
    )
    assert api.asked[0].headers["User-Agent"] == "canary-controller"


async def test_missing_object_is_not_found(api: "ApiServer", client: KubeClient) -> None:
    api.refuse(404, "NotFound", 'deployments.apps "podinfo" not found')

    with pytest.raises(NotFound, match=r'GET .*/podinfo: deployments.apps "podinfo" not found'):
        await client.get(DEPLOYMENT, "test", "podinfo")


async def test_list_reads_all_pages(api: "ApiServer", client: KubeClient) -> None:
    api.answer({"metadata": {"resourceVersion": "9", "continue": "t"}, "items": [{"metadata": {"name": "a"}}]})
    api.answer({"metadata": {"resourceVersion": "9"}, "items": [{"metadata": {"name": "b"}}]})

    got = await client.list(CANARY, label_selector="app in (a,b)")

    assert [item["metadata"]["name"] for item in got["items"]] == ["a", "b"]
    assert got["metadata"] == {"resourceVersion": "9"}
    assert [asked.query.get("continue") for asked in api.asked] == [None, "t"]
    assert api.asked[1].query["labelSelector"] == "app in (a,b)"


async def test_list_with_a_limit_is_one_page(api: "ApiServer", client: KubeClient) -> None:
    api.answer({"metadata": {"resourceVersion": "9", "continue": "t"}, "items": []})

    got = await client.list(CANARY, "test", limit=1)

    assert got["metadata"]["continue"] == "t"
    assert api.asked[0].query == {"limit": "1"}


async def test_apply_is_server_side_with_our_field_manager(api: "ApiServer", client: KubeClient) -> None:
    api.answer({"metadata": {"name": "a"}})

    await client.apply(CONFIG_MAP, {"metadata": {"namespace": "test", "name": "a"}, "data": {"k": "v"}})

    asked = api.asked[0]
    assert (asked.method, asked.path) == ("PATCH", "/api/v1/namespaces/test/configmaps/a")
    assert asked.headers["Content-Type"] == "application/apply-patch+yaml"
    assert asked.query == {"fieldManager": "canary-controller", "force": "true", "fieldValidation": "Warn"}
    assert asked.body == {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"namespace": "test", "name": "a"},
        "data": {"k": "v"},
    }


async def test_scale_patches_the_scale_subresource(api: "ApiServer", client: KubeClient) -> None:
    api.answer({"kind": "Scale", "metadata": {"name": "podinfo"}})

    await client.scale(DEPLOYMENT, "test", "podinfo", 3)

    asked = api.asked[0]
    assert asked.path == "/apis/apps/v1/namespaces/test/deployments/podinfo/scale"
    assert asked.headers["Content-Type"] == "application/merge-patch+json"
    assert asked.body == {"spec": {"replicas": 3}}


async def test_delete_can_be_bound_to_a_uid(api: "ApiServer", client: KubeClient) -> None:
    api.answer({"kind": "Status"})
    api.refuse(409, "Conflict", "the UID in the precondition (1) does not match")

    await client.delete(NAMESPACE, None, "test")
    with pytest.raises(Conflict):
        await client.delete(DEPLOYMENT, "test", "podinfo", uid="1")

    assert api.asked[0].path == "/api/v1/namespaces/test"
    assert api.asked[1].body["preconditions"] == {"uid": "1"}


async def test_create_says_when_the_object_is_there(api: "ApiServer", client: KubeClient) -> None:
    api.refuse(409, "AlreadyExists", "it is there")

    with pytest.raises(AlreadyExists):
        await client.create(LEASE, {"metadata": {"namespace": "test", "name": "a"}})


async def test_throttling_is_waited_out_within_the_deadline(api: "ApiServer", client: KubeClient) -> None:
    api.answer({"kind": "Status", "code": 429}, 429, {"Retry-After": "0.01"})
    api.answer({"metadata": {"name": "a"}})

    assert await client.get(CANARY, "test", "a") == {"metadata": {"name": "a"}}


async def test_throttling_beyond_the_deadline_says_how_long(api: "ApiServer", client: KubeClient) -> None:
    api.answer({"kind": "Status", "code": 429}, 429, {"Retry-After": "20"})

    with pytest.raises(Throttled) as caught:
        await client.get(CANARY, "test", "a")
    assert caught.value.retry_after == 20
    assert len(api.asked) == 1


@pytest.mark.parametrize(
    "page",
    [{"message": "starting"}, {"metadata": None}, {"metadata": {"name": 5}, "items": ["a"]}, {"kind": "Status"}],
    ids=["a page of a proxy", "no metadata", "a name that is none", "another kind"],
)
async def test_what_is_no_object_is_no_answer(api: "ApiServer", client: KubeClient, page: dict[str, Any]) -> None:
    """A proxy may say 200 and anything: the same request may have its answer later."""
    for _ in range(3):
        api.answer(page)

    with pytest.raises(Unreachable, match="no Canary a"):
        await client.apply(CANARY, {"metadata": {"namespace": "test", "name": "a"}})
    with pytest.raises(Unreachable, match="list"):
        await client.list(CANARY, "test")
    with pytest.raises(Unreachable, match="list"):
        await client.find(CANARY, "test", "a")


async def test_an_answer_that_is_too_deep_is_read_as_deep_as_can_be(api: "ApiServer", client: KubeClient) -> None:
    deep = '{"metadata": {"name": "a"}, "spec": ' + '{"a": ' * 100_000 + "1" + "}" * 100_000 + ', "status": {"b": "}"}}'
    api.answers.append(web.Response(text=deep, content_type="application/json"))

    read = await client.get(CANARY, "test", "a")

    assert read["status"] == {"b": "}"}


async def test_no_answer_within_the_deadline_is_unreachable(api: "ApiServer", connection: Connection) -> None:
    async def never(_: web.Request) -> web.StreamResponse:
        await asyncio.sleep(60)
        raise AssertionError

    api.answers.append(never)

    with pytest.raises(Unreachable, match=r"no answer within 0.05 s"):
        await KubeClient(connection, deadline=0.05).get(CANARY, "test", "a")


async def test_refused_connection_is_unreachable(unused_tcp_port: int) -> None:
    connection = open_plain(f"http://127.0.0.1:{unused_tcp_port}")
    try:
        with pytest.raises(Unreachable, match="Cannot connect"):
            await KubeClient(connection).get(CANARY, "test", "a")
    finally:
        await connection.close()


async def test_answer_cut_off_is_unreachable(api: "ApiServer", client: KubeClient) -> None:
    async def cut(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "100"})
        await response.prepare(request)
        await response.write(b'{"metadata":')
        assert request.transport is not None
        request.transport.abort()
        return response

    api.answers.append(cut)

    with pytest.raises(Unreachable):
        await client.get(CANARY, "test", "a")


async def test_a_proxys_page_never_reaches_the_message(api: "ApiServer", client: KubeClient) -> None:
    api.answers.append(web.Response(status=502, text="<html>secret stuff</html>", content_type="text/html"))

    with pytest.raises(ServerError) as caught:
        await client.get(CANARY, "test", "a")
    assert caught.value.message == "HTTP 502"


async def test_answer_that_is_no_json_is_unreachable(api: "ApiServer", client: KubeClient) -> None:
    api.answers.append(web.Response(text="<html>login</html>", content_type="text/html"))

    with pytest.raises(Unreachable, match="isn't JSON"):
        await client.get(CANARY, "test", "a")


async def test_redirects_are_not_followed(api: "ApiServer", client: KubeClient) -> None:
    api.answers.append(web.Response(status=302, headers={"Location": "http://example.com"}))

    with pytest.raises(Invalid, match="HTTP 302"):
        await client.get(CANARY, "test", "a")


async def test_new_credentials_are_tried_once_after_a_401(api: "ApiServer", connection: Connection) -> None:
    async def renew() -> bool:
        connection.configuration.api_key["BearerToken"] = "Bearer new"
        return True

    connection.renew = renew
    api.refuse(401, "Unauthorized", "expired")
    api.answer({"metadata": {"name": "a"}})

    assert await KubeClient(connection).get(CANARY, "test", "a") == {"metadata": {"name": "a"}}
    assert api.asked[1].headers["Authorization"] == "Bearer new"


async def test_warnings_of_the_server_are_logged_once_each(api: "ApiServer", client: KubeClient) -> None:
    for _ in range(2):
        api.answer({"metadata": {"name": "a"}}, headers={"Warning": '299 - "unknown field \\"spec.x\\""'})

    with capture_logs() as logs:
        for _ in range(2):
            await client.apply(CANARY, {"metadata": {"namespace": "test", "name": "a"}})

    assert [(entry["event"], entry["log_level"]) for entry in logs] == [("API server warns", "warning")]
    assert "spec.x" in logs[0]["warning"]


async def test_guarded_client_reads_but_does_not_write_without_the_lease(api: "ApiServer", client: KubeClient) -> None:
    guarded = client.guarded(lambda: 0.0)
    api.answer({"metadata": {"name": "a"}})

    await guarded.get(CANARY, "test", "a")
    with pytest.raises(NotLeading):
        await guarded.apply(CANARY, {"metadata": {"namespace": "test", "name": "a"}})
    assert len(api.asked) == 1


async def test_guarded_write_takes_no_longer_than_the_lease_lasts(api: "ApiServer", client: KubeClient) -> None:
    async def never(_: web.Request) -> web.StreamResponse:
        await asyncio.sleep(60)
        raise AssertionError

    api.answers.append(never)

    with pytest.raises(Unreachable, match=r"within 0.05 s"):
        await client.guarded(lambda: 0.05).delete(SECRET, "test", "a")
