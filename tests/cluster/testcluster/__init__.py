"""A real Kubernetes for tests, on any Linux machine that reaches package registries.

Nothing is pulled from an image registry. The programs are built from their
published Go modules (:mod:`testcluster.build`) and started as plain processes
(:mod:`testcluster.control_plane`). Tests meet them as fixtures
(:mod:`testcluster.fixtures`), people through ``make`` (:mod:`testcluster.cli`).
"""
