"""Side-by-side measurements: what is claimed, next to what it is compared with.

Each module exposes ``run(small=True) -> dict`` and runs alone as
``python -m benchmarks.<name>``. Both sides of a comparison run in the same process
or in turns, on the same server, so that the ratio holds where the times do not.
"""
