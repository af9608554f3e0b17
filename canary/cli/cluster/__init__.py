"""Canaries of a cluster, for people: how they stand, why, and what is ordered of them."""
