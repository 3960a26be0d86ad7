"""gunicorn's settings: ten plain request workers, as so many sites have them.

``gunicorn -c python:sluiceway_sample.serving``
"""

from __future__ import annotations

import os

wsgi_app = "sluiceway_sample.web:web"
bind = os.environ.get("SHOP_BIND", "127.0.0.1:8000")

workers = 10
worker_class = "sync"
# Imported once, before the workers are forked.
preload_app = True

# gunicorn ends a worker that is silent for so long. Generous, so that even the
# old way, with its exports inside the request, gets to its end.
timeout = 300
