"""What in a Celery application loses, repeats or holds up tasks: found before it happens.

The application is loaded in its own Python (``portray``), its source is read (``source``,
``calls``), and rules judge both (``rules_*``): pure, from facts to findings.
"""
