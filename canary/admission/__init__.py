"""Admission: what the API server asks before it stores an object of this group, answered by the one list of rules."""
