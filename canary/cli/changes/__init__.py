"""What a file, a promotion or a way back would change in a cluster, as unified diffs."""
