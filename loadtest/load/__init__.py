"""Makes load at a constant rate, and measures it honestly; a program of its own, which tasks of type `load` run."""
