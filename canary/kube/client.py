"""Raw-JSON access to the Kubernetes API: no models, one deadline a request, typed errors."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import aiohttp

from canary.kube.connection import Connection, open_connection
from canary.kube.errors import Unreachable
from canary.kube.served import ServedVersions
from canary.kube.transport import JSON, Query, Request, Transport
from canary.kube.types import Json, Resource, mapping, name_of, namespace_of

FIELD_MANAGER = "canary-controller"
DEADLINE = 10.0
"""Seconds that a request may take, its retries included, unless the caller says otherwise."""
PAGE = 500
"""Objects read at a time from a collection."""

_MERGE = "application/merge-patch+json"
_APPLY = "application/apply-patch+yaml"
# Unknown fields are answered with a warning, which is logged, not a refusal: a cluster may have an older CRD that
# lacks a field of ours.
_WRITE: Query = {"fieldManager": FIELD_MANAGER, "fieldValidation": "Warn"}


class KubeClient:
    """Reads and writes objects as the JSON that the API speaks.

    All methods raise a `KubeError` for whatever isn't the answer asked for; see `canary.kube.errors`.
    A 429 is waited out where the server's wait fits the deadline. ``deadline`` is in seconds everywhere,
    None for the client's own.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        deadline: float = DEADLINE,
        may_write: Callable[[], float] | None = None,
        user_agent: str = FIELD_MANAGER,
        served: ServedVersions | None = None,
    ) -> None:
        """Use an open connection.

        Args:
            connection: The way to the server; the client doesn't close it.
            deadline: Seconds that a request may take.
            may_write: Seconds for which writing is still allowed, 0 or less for not at all; None for always.
            user_agent: Name given to the server, as its audit log shows it.
            served: In which versions the server has kinds, where another client on the connection knows.
        """
        self._transport = Transport(connection, deadline=deadline, user_agent=user_agent, may_write=may_write)
        self.served = served or ServedVersions()

    @classmethod
    @asynccontextmanager
    async def connect(
        cls,
        kubeconfig: Path | None = None,
        context: str | None = None,
        *,
        user_agent: str = FIELD_MANAGER,
        deadline: float = DEADLINE,
    ) -> AsyncIterator["KubeClient"]:
        """Connect by kubeconfig, or as the pod's service account without one; closed at the end.

        Raises:
            ConfigError: There is no usable configuration.
        """
        connection = await open_connection(kubeconfig, context)
        try:
            yield cls(connection, user_agent=user_agent, deadline=deadline)
        finally:
            await connection.close()

    @property
    def namespace(self) -> str:
        """The namespace that whoever connected has named: the context's, or the pod's own; `default` otherwise."""
        return self._transport.connection.namespace or "default"

    def guarded(self, may_write: Callable[[], float]) -> "KubeClient":
        """Make a client on the same connection that writes only while ``may_write()`` gives seconds to do so.

        Its writes raise `NotLeading` otherwise, and never take longer than the seconds given.
        """
        base = self._transport
        return KubeClient(
            base.connection,
            deadline=base.deadline,
            may_write=may_write,
            user_agent=base.user_agent,
            served=self.served,
        )

    def path(
        self,
        resource: Resource,
        namespace: str | None = None,
        name: str | None = None,
        subresource: str | None = None,
    ) -> str:
        """Where something is, as `Resource.path` says, in the version in which it is served."""
        version = self.served.of(resource) if resource.earlier else ""
        return resource.path(namespace, name, subresource, version=version)

    async def get(self, resource: Resource, namespace: str | None, name: str, *, deadline: float | None = None) -> Json:
        """Read one object.

        Raises:
            NotFound: There is none of that name.
        """
        path = self.path(resource, namespace, name)
        return await self._object(Request("GET", path, deadline=deadline), resource, name)

    async def find(self, resource: Resource, namespace: str | None, name: str, *, accept: str = JSON) -> Json | None:
        """Read one object by the right to list its kind; None when there is none.

        Args:
            resource: Its kind.
            namespace: Its namespace.
            name: Its name.
            accept: Representation of the list that is asked for.
        """
        query = {"fieldSelector": f"metadata.name={_selected(name)}"}
        found = await self.page(self.path(resource, namespace), query, accept=accept)
        items = _items(self.path(resource, namespace), found)
        return next((_known(resource, each) for each in items if name_of(each) == name), None)

    async def list(
        self,
        resource: Resource,
        namespace: str | None = None,
        label_selector: str | None = None,
        limit: int | None = None,
    ) -> Json:
        """Read a collection into one list object.

        Args:
            resource: What to list.
            namespace: None for all namespaces.
            label_selector: Such as ``app=podinfo,tier!=db``.
            limit: At most so many objects; None for all of them, read in pages.
        """
        path = self.path(resource, namespace)
        query = {"labelSelector": label_selector, "limit": limit or PAGE}
        page = result = await self.page(path, query)
        result["items"] = _items(path, page)
        while limit is None and (token := page["metadata"].get("continue")):
            page = await self.page(path, {**query, "continue": token})
            result["items"] += _items(path, page)
            result["metadata"] = page["metadata"]
        return result

    async def create(self, resource: Resource, obj: Json, *, deadline: float | None = None) -> Json:
        """Create an object and return it as stored.

        Raises:
            AlreadyExists: There is one of that name.
            Invalid: The server refuses it.
        """
        path = self.path(resource, namespace_of(obj))
        request = Request("POST", path, _WRITE, self._typed(resource, obj), deadline=deadline)
        return await self._object(request, resource, name_of(obj))

    async def apply(
        self,
        resource: Resource,
        obj: Json,
        *,
        subresource: str | None = None,
        field_manager: str = FIELD_MANAGER,
        force: bool = True,
    ) -> Json:
        """Server-side apply: make the object's fields so, own them, and leave all others alone.

        Fields that this manager applied before and that are no longer in ``obj`` are removed.

        Raises:
            Conflict: Another manager owns one of the fields, and ``force`` is off.
            Invalid: The server refuses it.
        """
        path = self.path(resource, namespace_of(obj), name_of(obj), subresource)
        query = {**_WRITE, "fieldManager": field_manager, "force": "true" if force else "false"}
        request = Request("PATCH", path, query, self._typed(resource, obj), content_type=_APPLY)
        return await self._object(request, resource, name_of(obj))

    async def merge_patch(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        patch: Json,
        *,
        subresource: str | None = None,
        field_manager: str = FIELD_MANAGER,
        deadline: float | None = None,
    ) -> Json:
        """JSON merge patch; guarded against lost updates where ``metadata.resourceVersion`` is in it.

        Raises:
            Conflict: The object has another resourceVersion by now.
            NotFound: There is none of that name.
        """
        path = self.path(resource, namespace, name, subresource)
        query = {**_WRITE, "fieldManager": field_manager}
        request = Request("PATCH", path, query, patch, content_type=_MERGE, deadline=deadline)
        return await self._object(request, resource, name)

    async def scale(self, resource: Resource, namespace: str, name: str, replicas: int) -> Json:
        """Set the replicas of a workload through its scale subresource; returns the Scale object."""
        return await self.merge_patch(resource, namespace, name, {"spec": {"replicas": replicas}}, subresource="scale")

    async def replace(
        self,
        resource: Resource,
        obj: Json,
        *,
        subresource: str | None = None,
        deadline: float | None = None,
    ) -> Json:
        """Replace a whole object.

        Raises:
            Conflict: It has another resourceVersion than ``obj`` by now.
            NotFound: There is none of that name.
        """
        path = self.path(resource, namespace_of(obj), name_of(obj), subresource)
        request = Request("PUT", path, _WRITE, self._typed(resource, obj), deadline=deadline)
        return await self._object(request, resource, name_of(obj))

    async def delete(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        *,
        uid: str | None = None,
        propagation: str = "Background",
    ) -> Json:
        """Delete one object; with ``uid``, only if it is still that one.

        Raises:
            Conflict: The object of that name has another uid.
            NotFound: There is none of that name.
        """
        options: Json = {
            "kind": "DeleteOptions",
            "apiVersion": "v1",
            "propagationPolicy": propagation,
        }
        if uid is not None:
            options["preconditions"] = {"uid": uid}
        return await self._send(Request("DELETE", self.path(resource, namespace, name), body=options))

    async def user(self) -> str:
        """The name under which the server knows us; empty where it doesn't say."""
        review: Json = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
        answer = await self._send(Request("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", body=review))
        return str(mapping(mapping(answer.get("status")).get("userInfo")).get("username") or "")

    async def reviewed(self, token: str, audiences: Sequence[str] = (), *, deadline: float | None = None) -> Json:
        """Whose a token is, in the words of the server: the status of a TokenReview.

        Args:
            token: the token, of somebody else.
            audiences: for whom it must have been made; none for the server itself.
            deadline: seconds that it may take.
        """
        spec: Json = {"token": token} | ({"audiences": list(audiences)} if audiences else {})
        review: Json = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": spec}
        path = "/apis/authentication.k8s.io/v1/tokenreviews"
        return mapping((await self._send(Request("POST", path, body=review, deadline=deadline))).get("status"))

    async def may(self, user: Json, attributes: Json, *, deadline: float | None = None) -> bool:
        """Whether somebody else may do something.

        Args:
            user: who, in the words of a SubjectAccessReview: `user`, `groups`, `uid`, `extra`.
            attributes: what, as its `resourceAttributes`.
            deadline: seconds that it may take.
        """
        spec: Json = {**user, "resourceAttributes": attributes}
        review: Json = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec}
        path = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
        answer = await self._send(Request("POST", path, body=review, deadline=deadline))
        return mapping(answer.get("status")).get("allowed") is True

    async def page(self, path: str, query: Query | None = None, *, accept: str = JSON) -> Json:
        """Read any path of the API in the representation asked for, such as one page of a list."""
        return await self._send(Request("GET", path, query, accept=accept))

    def stream(
        self, path: str, query: Query, *, accept: str = JSON
    ) -> AbstractAsyncContextManager[aiohttp.StreamReader]:
        """Open a watch; entering it raises a `KubeError`, reading one of `transport.NETWORK_ERRORS`."""
        return self._transport.stream(Request("GET", path, query, accept=accept))

    async def _object(self, request: Request, resource: Resource, name: str) -> Json:
        """Send a request that an object of the API answers.

        Raises:
            Unreachable: the answer is none, as the page of a proxy that says 200, or another one.
        """
        answer = await self._send(request)
        metadata = answer.get("metadata")
        is_kind = answer.get("kind", resource.kind) in (resource.kind, "Scale")
        if not is_kind or not isinstance(metadata, dict) or metadata.get("name") != name:
            raise Unreachable(request.method, request.path, f"the answer is no {resource.kind} {name}")
        return _known(resource, answer) if resource.earlier else answer

    def _typed(self, resource: Resource, obj: Json) -> Json:
        """The object with the kind and the version, of those that are served, that writing needs."""
        if not resource.earlier:
            return {"apiVersion": resource.api_version, "kind": resource.kind, **obj}
        return {**obj, "apiVersion": f"{resource.group}/{self.served.of(resource)}", "kind": resource.kind}

    async def _send(self, request: Request) -> Json:
        return await self._transport.send(request)


def _selected(name: str) -> str:
    """A name as the value of a field selector."""
    return name.replace("\\", "\\\\").replace(",", "\\,").replace("=", "\\=")


def _items(path: str, page: Json) -> list[Json]:
    """The objects of a list; an empty one may be null.

    Raises:
        Unreachable: the answer is no list.
    """
    items = page.get("items") or []
    if not isinstance(items, list) or not isinstance(page.get("metadata"), dict):
        raise Unreachable("GET", path, "the answer isn't a list")
    metadatas = [each.get("metadata") if isinstance(each, dict) else None for each in items]
    if not all(isinstance(each, dict) and isinstance(each.get("name"), str) for each in metadatas):
        raise Unreachable("GET", path, "what the answer lists are no objects")
    return items


def _known(resource: Resource, obj: Json) -> Json:
    """The object with the kind, which items of lists lack, and the version that we know it by."""
    return {**obj, "apiVersion": resource.api_version, "kind": resource.kind}
