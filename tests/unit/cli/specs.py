"""A Canary and the MetricTemplate that it names, as people write them."""

CANARY = """\
apiVersion: flagger.app/v1beta1
kind: Canary
metadata: {name: shop, namespace: prod}
spec:
  provider: traefik
  targetRef: {apiVersion: apps/v1, kind: Deployment, name: shop}
  service: {port: 80}
  analysis:
    interval: 1m
    threshold: 3
    stepWeight: 50
    metrics:
    - {name: errors, templateRef: {name: errors}, thresholdRange: {max: 1}}
"""
TEMPLATE = """\
apiVersion: flagger.app/v1beta1
kind: MetricTemplate
metadata: {name: errors, namespace: prod}
spec:
  provider: {type: prometheus, address: "http://prometheus:9090"}
  query: sum(rate(errors{app="{{ target }}"}[{{ interval }}]))
"""
