"""Who has which address inside the sandbox's network. All of `10.0.0.0/8` is local there."""

from canary.sandbox import netns

API_SERVER = "10.0.0.2"
API_PORT = 6443
API_URL = f"https://{API_SERVER}:{API_PORT}"
KUBERNETES_SERVICE = "10.96.0.1"
PATIENT_API_URL = f"https://{KUBERNETES_SERVICE}:443"
"""The API server's Service address. A connection to it waits for a while where the API server is away.

Programs of Go's client library would otherwise come back from an outage only after pauses of up to half a minute.
"""
ETCD_URL = "http://10.0.0.3:2379"
ETCD_PEER_URL = "http://10.0.0.3:2380"
DNS = netns.DNS_ADDRESS
GATEWAY = "10.0.0.80"
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
PROMETHEUS = "10.0.0.90"
PROMETHEUS_URL = f"http://{PROMETHEUS}:9090"
TOOLS = "10.0.0.100"
"""For programs beside the cluster: the controller, the load tester."""
SERVICE_RANGE = "10.96.0.0/16"


def node(number: int) -> str:
    """The address of a node, counted from 1."""
    return f"10.0.1.{number}"


def pod(number: int) -> str:
    """The address of the n-th pod, counted from 0; they come around after 64,000."""
    high, low = divmod(number % 64_000, 250)
    return f"10.244.{high}.{low + 2}"
