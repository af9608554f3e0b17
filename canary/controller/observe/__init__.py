"""Observe: what is known around a Canary, from watch caches, as facts."""
