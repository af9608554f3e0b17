"""Who has which address inside the sandbox's network. All of `10.0.0.0/8` is local there."""

from dataclasses import dataclass
from typing import Final

from canary.sandbox import netns

MOST_SITES: Final = 10


@dataclass(frozen=True, slots=True)
class Site:
    """The addresses of one cluster: those of clusters in one network differ.

    Attributes:
        number: counts the clusters; the sandbox's own is 0, and there are at most `MOST_SITES`.
    """

    number: int = 0

    def _host(self, last: int) -> str:
        return f"10.{self.number}.0.{last}"

    @property
    def api_server(self) -> str:
        """The API server's address."""
        return self._host(2)

    @property
    def api_port(self) -> int:
        """Its port. API servers listen at every address, so that each needs one to itself."""
        return 6443 + self.number

    @property
    def api_url(self) -> str:
        """Where the API server is."""
        return f"https://{self.api_server}:{self.api_port}"

    @property
    def kubernetes_service(self) -> str:
        """The address of the Service `kubernetes`."""
        return f"10.{96 + self.number}.0.1"

    @property
    def patient_api_url(self) -> str:
        """The API server's Service address. A connection to it waits for a while where the API server is away.

        Programs of Go's client library would otherwise come back from an outage only after pauses of up to half a
        minute.
        """
        return f"https://{self.kubernetes_service}:443"

    @property
    def service_range(self) -> str:
        """Where the addresses of Services are from."""
        return f"10.{96 + self.number}.0.0/16"

    @property
    def etcd_url(self) -> str:
        """Where etcd serves."""
        return f"http://{self._host(3)}:2379"

    @property
    def etcd_peer_url(self) -> str:
        """Where it would talk to others of its kind."""
        return f"http://{self._host(3)}:2380"

    @property
    def gateway(self) -> str:
        """Traefik's address."""
        return self._host(80)

    @property
    def prometheus(self) -> str:
        """Prometheus's address."""
        return self._host(90)

    @property
    def prometheus_url(self) -> str:
        """Where Prometheus is."""
        return f"http://{self.prometheus}:9090"

    @property
    def tools(self) -> str:
        """For programs beside the cluster: the controller, the load tester."""
        return self._host(100)

    def node(self, number: int) -> str:
        """The address of a node, counted from 1."""
        return f"10.{self.number}.1.{number}"

    def pod(self, number: int) -> str:
        """The address of the n-th pod, counted from 0; they come around after 64,000."""
        high, low = divmod(number % 64_000, 250)
        return f"10.{244 + self.number}.{high}.{low + 2}"


OWN: Final = Site()
"""The sandbox's own cluster, whose addresses those below are."""
API_SERVER = OWN.api_server
API_PORT = OWN.api_port
API_URL = OWN.api_url
DNS = netns.DNS_ADDRESS
GATEWAY = OWN.gateway
GATEWAY_METRICS_PORT = 8080
NGINX = "10.0.0.81"
CONTOUR = "10.0.0.82"
"""For Contour and its Envoy."""
ISTIO = "10.0.0.83"
"""For istiod and the Envoy of its gateway."""
ENVOY_GATEWAY = "10.0.0.84"
"""For Envoy Gateway and its Envoy."""
ENVOY_GATEWAY_HEALTH_PORT = 8081
INGRESS_NGINX = "10.0.0.85"
PROMETHEUS = OWN.prometheus
PROMETHEUS_URL = OWN.prometheus_url
TOOLS = OWN.tools
"""For programs beside the cluster: the controller, the load tester."""
