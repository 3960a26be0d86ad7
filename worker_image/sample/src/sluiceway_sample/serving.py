"""gunicorn's settings: ten plain request workers, as so many sites have them.

``gunicorn -c python:sluiceway_sample.serving``
"""

from __future__ import annotations

import importlib
import os

# Celery imports its transport and result backend with the first task that is
# published: half a second of one core. Imported here, before the workers are
# forked, so that it is not ten visitors who pay for it.
for module in (
    "celery.app.amqp",
    "celery.canvas",
    "celery.backends.redis",
    "kombu.transport.redis",
):
    importlib.import_module(module)

wsgi_app = "sluiceway_sample.web:web"
bind = os.environ.get("SHOP_BIND", "127.0.0.1:8000")

workers = 10
worker_class = "sync"
preload_app = True

# gunicorn ends a worker that is silent for so long. Generous, so that even the
# old way, with its exports inside the request, gets to its end.
timeout = 300
