"""Backtests: a spec's metric checks over recorded data, with the real policy, before it is trusted with a rollout.

`workload` says whose series are asked for, `recording` fetches them, `policy` plays rollouts over them with the
decisions of the controller, `replay` slides rollouts over the whole window, `support` and `chance` say what thresholds
the data supports and how much traffic tells a good version from a bad one; `report` is all of that as one value, which
`table` and `picture` show.
"""
