"""The Django and FastAPI projects of the page run as they stand there, with a real worker."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from docs_site import ROOT

from tests.conftest import RedisServer

PAGE = ROOT / "docs" / "how-to" / "django-and-fastapi.md"
HANGS_S = 120.0


DJANGO_PROJECT = """
SECRET_KEY = "no secret"
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes", "orders"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "shop.sqlite3"}}
USE_TZ = True
"""
MODELS = """
from django.db import models

class Order(models.Model):
    customer = models.TextField()
"""
BUYS = """
import os, redis
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")
import django
django.setup()
from django.core.management import call_command
from django.db import transaction
from django.test import RequestFactory
call_command("migrate", run_syncdb=True, verbosity=0)
from views import buy
request = RequestFactory().post("/buy")
request.user = "Ada"
broker = redis.Redis.from_url(os.environ["CELERY_BROKER_URL"])
with transaction.atomic():
    assert buy(request).status_code == 202
    assert broker.llen("celery") == 0, "published before it was committed"
assert broker.llen("celery") == 1
from orders.tasks import send_invoice
with transaction.atomic():
    send_invoice.delay_on_commit(1)
    assert broker.llen("celery") == 1
assert broker.llen("celery") == 2
"""
ASKS = """
from fastapi.testclient import TestClient
from shop.web import web
answer = TestClient(web).post("/reports", params={"report_id": 7})
assert answer.status_code == 202, answer.text
assert answer.headers["location"] == "/reports/7"
assert answer.json()["task_id"]
"""


def shown(part: str) -> list[str]:
    """The Python blocks of one part of the page, in their order."""
    (text,) = re.findall(
        rf"^## {part}\n(.*?)(?=^## )", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    return re.findall(r"```python\n(.*?)```", text, re.DOTALL)


class Project:
    """A folder with an application, its broker, and a worker."""

    def __init__(self, folder: Path, broker: RedisServer, stack: ExitStack) -> None:
        self.folder = folder
        self._stack = stack
        self._env = os.environ | {"CELERY_BROKER_URL": broker.url, "PYTHONUNBUFFERED": "1"}
        self.broker = broker.client()

    def write(self, name: str, text: str) -> None:
        """One file of the project."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def run(self, script: str) -> None:
        """A script inside it; what goes wrong is in the error."""
        ended = subprocess.run(
            [sys.executable, "-c", script],
            cwd=self.folder, env=self._env, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert ended.returncode == 0, ended.stderr

    def work(self, app: str, *, until: str) -> str:
        """Run a worker until its output has these words; all of that."""
        output = self.folder / "worker.log"
        with output.open("w", encoding="utf-8") as file:
            worker = subprocess.Popen(
                [sys.executable, "-m", "sluiceway_worker", "-A", app, "-P", "solo", "-l", "INFO"],
                cwd=self.folder, env=self._env, stdout=file, stderr=subprocess.STDOUT,
            )  # fmt: skip
        self._stack.callback(worker.wait)
        self._stack.callback(worker.terminate)
        deadline = time.monotonic() + HANGS_S
        while until not in (told := output.read_text(encoding="utf-8")):
            assert worker.poll() is None, told
            assert time.monotonic() < deadline, told
            time.sleep(0.05)
        return told


@pytest.fixture
def project(tmp_path: Path, redis_server: RedisServer) -> Iterator[Project]:
    """An empty one."""
    with ExitStack() as stack:
        yield Project(tmp_path, redis_server, stack)


def test_the_django_project_publishes_when_it_is_committed_and_its_worker_finds_the_row(
    project: Project,
) -> None:
    celery, package, settings, tasks, view = shown("Django")
    project.write("shop/celery.py", celery)
    project.write("shop/__init__.py", package)
    project.write("shop/settings.py", settings + DJANGO_PROJECT)
    project.write("orders/__init__.py", "")
    project.write("orders/models.py", MODELS)
    project.write("orders/tasks.py", tasks)
    project.write("views.py", view)

    project.run(BUYS)

    told = project.work("shop", until="invoice 1 to Ada")
    assert "Traceback" not in told


def test_the_fastapi_project_answers_202_and_its_worker_makes_the_report(project: Project) -> None:
    tasks, web = shown("FastAPI")
    project.write("shop/__init__.py", "")
    project.write("shop/tasks.py", tasks)
    project.write("shop/web.py", web)

    project.run(ASKS)

    told = project.work("shop.tasks", until="report 7 is made")
    assert "Traceback" not in told
