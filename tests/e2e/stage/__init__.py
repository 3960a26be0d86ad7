"""What the scenes on real nodes are played with: images, the operator, brokers, counting.

``conftest.py`` hands them to tests as fixtures; ``benchmarks`` uses them, too.
"""
