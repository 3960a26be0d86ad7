"""Cluster mode: TaskQueues of a Kubernetes cluster, Deployments in place of processes.

handlers (kopf) ──▶ Specs ─┐
watches ──▶ ClusterView ───┼─▶ Term (while this replica leads)
Lease ──▶ Leadership ──────┘     settles each TaskQueue, and ticks its broker's loop
"""
