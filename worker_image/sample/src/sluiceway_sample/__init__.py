"""The sample shop: a light web app, and the slow work it hands to Celery.

Read it in this order: ``web`` answers at once and publishes tasks; ``tasks`` is
the work itself; ``settings`` says which queue each task goes to. ``before`` is
what it all replaced: an export made inside the request.
"""
