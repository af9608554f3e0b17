"""One release over many clusters: the pure core of a CanaryFleet, and who its members are."""
