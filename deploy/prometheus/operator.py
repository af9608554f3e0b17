"""The rules as an object for the Prometheus Operator.

`python -m deploy.prometheus.operator` writes it anew after a change of the rules; a test holds the two equal.
"""

from pathlib import Path

RULES = Path(__file__).with_name("rules.yaml")
TARGET = RULES.parents[1] / "kustomize/components/prometheus-rule/prometheus-rule.yaml"

_HEAD = """\
# Made of deploy/prometheus/rules.yaml by `python -m deploy.prometheus.operator`; change that file, not this one.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: canary-controller
  namespace: canary-system
spec:
"""


def prometheus_rule() -> str:
    """The object, as text, with the rules' own comments."""
    return _HEAD + "".join(f"  {line}" if line.strip() else line for line in RULES.read_text().splitlines(True))


if __name__ == "__main__":
    TARGET.write_text(prometheus_rule())
