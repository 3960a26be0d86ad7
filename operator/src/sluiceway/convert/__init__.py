"""From what scales a Celery Deployment today to a TaskQueue that scales it tomorrow.

Pure: objects as parsed YAML go in, TaskQueues with remarks come out. What has no counterpart
is said, never dropped in silence.
"""
