"""HTTP servers of our own, asked by anybody: bounds on what they take in."""
