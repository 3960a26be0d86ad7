"""What runs inside a Celery worker: heartbeat, publish stamp, drain by lease."""
