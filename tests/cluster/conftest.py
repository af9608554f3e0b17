"""One cluster for all tests of this folder; see `canary.sandbox.testing`."""

from canary.sandbox.testing import cluster, cluster_options, namespace, pytest_pyfunc_call, running_cluster

__all__ = ["cluster", "cluster_options", "namespace", "pytest_pyfunc_call", "running_cluster"]
