"""A load generator with the flags and the report of `hey`, for images that lack the real one."""
