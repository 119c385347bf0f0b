"""A Kubernetes cluster for tests that really runs what it is given, without a container engine. It needs root and iproute2.

`cluster.py` is what tests use: a real control plane, nodes, and beside them what a node has: `kubelet.py` runs pods, `volumes.py`
fills their volumes, `containers.py` and `enter.py` run a process with the root, the user and the rights that a container has,
`probes.py` judges it, `network.py` gives pods addresses, `services.py` makes Services reachable by name and address,
`node_server.py` hands out logs, `claims.py` provides storage.

Not done: NetworkPolicies, resource limits, seccomp profiles, environment variables of other Services than the API server's.
"""
from tests.minicluster.cluster import MiniCluster
from tests.minicluster.containers import Image

__all__ = ["Image", "MiniCluster"]
