"""The watch edge: what a cluster holds, seen as it changes, and who may act on it.

    API server ──▶ Watch ──▶ trimmed views ──▶ workers of a fleet, its trouble
                   (client)   (views)           (workers, pure)

``client`` is the one way to the API server, ``watch`` keeps a trimmed copy of one
resource and says when that copy is not to be trusted, ``leader`` says whether this
replica may act, ``secrets`` reads one key by name. Nothing here writes to a user's
objects: the only thing it writes is its own Lease.
"""
