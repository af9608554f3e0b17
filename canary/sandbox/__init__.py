"""A cluster on a laptop: the real control plane, pods as processes, a real gateway, real Prometheus.

Everything runs in one private network: start Python with `python -m canary.sandbox.netns -- COMMAND`, then

    async with Cluster(Options()) as cluster: ...
"""
