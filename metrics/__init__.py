"""Numbers: what metrics servers say about a canary, and what that means for its rollout.

`threshold`, `question`, `reading` and `verdict` are the values; `templates`, `builtin`, `versions`, `samples` and
`slowness` write queries; `providers` maps a question to a request and an answer to a number; `judge` compares the
counts of two versions; `read` and `comparison` are the edges that do the I/O, `ranges` the one for ranges of time.
Knows nothing of Kubernetes.
"""
