"""The sample shop: a light web app, and the tasks it hands to Celery."""
