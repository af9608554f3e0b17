"""Rehearsals of releases over many clusters: the hub's decisions, over members that the controller's own move."""
