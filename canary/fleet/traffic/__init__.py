"""Mappings from routes of the hub's own cluster to what they give clusters, and back."""
