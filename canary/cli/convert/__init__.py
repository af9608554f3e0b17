"""Argo Rollouts' objects as Canaries, MetricTemplates and Deployments, and in words what has no counterpart."""
