"""Act: what was decided, as idempotent writes."""
