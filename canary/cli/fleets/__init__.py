"""What people ask and order of fleets in a cluster."""
