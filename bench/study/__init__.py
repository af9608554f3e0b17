"""`make study`: what the judge promises, and what it finds, in simulated rollouts beside the rules of others."""
