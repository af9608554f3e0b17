"""Votes on gates that come by HTTP: with a token that the API server knows, or by a signed link."""
