"""Fixtures for tests against a running cluster.

A conftest takes them over by importing them:

    from tests.tools.clusters import cluster, cluster_options, namespace, pytest_pyfunc_call, running_cluster

and says how its cluster is to be by a session fixture `cluster_options` of its own. Such tests run inside the private
network: `python -m canary.sandbox.netns -- pytest …`. When a part of the cluster dies, the test that is running fails
at once with that part's name and the end of its log.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Generator, Iterator

import pytest
import pytest_asyncio

from canary.kube.client import KubeClient
from canary.kube.types import NAMESPACE
from canary.sandbox.cluster import Cluster
from canary.sandbox.options import Options
from canary.sandbox.supervision import call_in

_running: list[Cluster] = []


@pytest.fixture(scope="session")
def cluster_options() -> Options:
    """How the cluster of the session is; override it in a conftest."""
    return Options()


@pytest.fixture(scope="session")
def running_cluster(cluster_options: Options) -> Iterator[Cluster]:
    """The cluster of the session."""
    cluster = Cluster(cluster_options)
    _running.append(cluster)
    try:
        asyncio.run(cluster.start())
        yield cluster
    finally:
        asyncio.run(cluster.stop())
        _running.remove(cluster)


@pytest_asyncio.fixture
async def cluster(running_cluster: Cluster) -> AsyncIterator[Cluster]:
    """The cluster of the session, for a test that ends when a part of it dies."""
    if running_cluster.failure is not None:
        raise running_cluster.failure
    loop = asyncio.get_running_loop()

    def cancel_test() -> None:
        for task in asyncio.all_tasks(loop):
            task.cancel()

    forget = running_cluster.watchers.listen(lambda failure: call_in(loop, cancel_test))
    yield running_cluster
    forget()


@pytest_asyncio.fixture
async def namespace(cluster: Cluster) -> AsyncIterator[str]:
    """A namespace of the test's own, deleted afterwards (nobody waits for that)."""
    name = f"test-{secrets.token_hex(3)}"
    async with KubeClient.connect(cluster.kubeconfig) as client:
        await client.create(NAMESPACE, {"metadata": {"name": name}})
        yield name
        await client.delete(NAMESPACE, None, name)


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """Say which part died instead of that the test was cancelled."""
    try:
        return (yield)
    except asyncio.CancelledError:
        for cluster in _running:
            if cluster.failure is not None:
                raise cluster.failure from None
        raise
