"""What runs for a TaskQueue in a cluster: from its spec and its WorkerClass to a Deployment.

Pure: plain dictionaries in, plain dictionaries out, no client and no clock. Who applies
the manifest, watches classes and follows the web's Deployment is elsewhere.

    TaskQueue ─┐
    classes ───┼─▶ chosen class ─┐
    web's pod ─┴─▶ taken ────────┼─▶ generated pod ─▶ template laid over ─▶ Deployment
    agent image ─────────────────┘
"""
