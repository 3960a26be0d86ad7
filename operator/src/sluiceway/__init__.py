"""Sluiceway: the right number of Celery workers, and a sentence that says why."""
