"""Rehearsals: the real decisions in virtual time, with no cluster, and expectations held against what came of them."""
