"""The protocol of taking, draining, dying and coming back, as a model that can be explored.

Read it in this order: ``state`` (what there is), ``rules`` (what is kept to), then the
steps, a file per idea: ``taking``, ``connection``, ``working``, ``draining``,
``holdings``, ``dying``, ``recovery``, ``leading``, ``kubernetes``, ``future``,
``beside``. ``properties`` says what must hold, ``configurations`` in which worlds, and
``checker`` finds out. docs/explanation/protocol.md tells the same to people.
"""
