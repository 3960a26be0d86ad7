"""`sluiceway check -A`: each mistake is found at its line, and good code is left alone.

The applications of tests/data/apps carry their findings as comments: `# finds: rule, rule`
on the line itself, `# finds at 3: …` where the line is so many lines up.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from sluiceway.api.load import load
from sluiceway.api.taskqueue import TaskQueue
from sluiceway.guardrails.finding import Severity
from sluiceway.guardrails.judge import RULES, AcceptError, Judgement, accepted_in, judge
from sluiceway.guardrails.loading import LoadError, NoCeleryError, load_app
from sluiceway.guardrails.source import SourceError, read_sources

ROOT = Path(__file__).resolve().parents[2]
APPS = ROOT / "tests" / "data" / "apps"
QUEUES = APPS / "careless" / "queues.yaml"

Found = set[tuple[str, int, str]]


def judged(name: str, workdir: Path = APPS, queues: tuple[Path, ...] = ()) -> Judgement:
    app = load_app(name, workdir=workdir)
    taskqueues = [
        (path, one) for path in queues for one in load(path) if isinstance(one, TaskQueue)
    ]
    return judge(app, read_sources(app), taskqueues=taskqueues)


def found(one: Judgement) -> Found:
    return {(f.path.name, f.line, f.rule.name) for f in one.findings}


def marked(*paths: Path) -> Found:
    marks = set()
    for path in paths:
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            for up, rules in re.findall(r"# finds(?: at (\d+))?: ([\w, -]*\w)", line):
                for rule in rules.split(", "):
                    marks.add((path.name, number - int(up or 0), rule))
    return marks


@pytest.fixture(scope="module")
def careless() -> Judgement:
    return judged("careless.tasks", queues=(QUEUES,))


def test_every_mistake_of_a_careless_application_is_found_at_its_line(careless: Judgement) -> None:
    expected = marked(*(APPS / "careless").glob("*.py"), QUEUES)

    assert sorted(found(careless)) == sorted(expected)


def test_every_rule_has_a_mistake_that_it_finds(careless: Judgement) -> None:
    abroad = judged("abroad")

    assert found(abroad) == marked(APPS / "abroad.py")
    assert {rule for _, _, rule in found(careless) | found(abroad)} == set(RULES)


def test_each_finding_says_the_case_the_reason_and_the_mend(careless: Judgement) -> None:
    said = {one.rule.name: one.message for one in careless.findings}

    assert said["visibility-timeout"] == (
        "careless.tasks.transcode may run for 45m, and the visibility timeout is 30m: a message "
        "that is not acknowledged by then is delivered once more, and the task runs twice: set "
        "broker_transport_options = {'visibility_timeout': …} in seconds, well above the longest "
        "task, or lower the task's time_limit"
    )
    assert said["longest-task"].startswith(
        "TaskQueue/celery: spec.worker.longestTask is 20m, and careless.tasks.transcode may run "
        "for 45m: "
    )
    assert all("\n" not in message for message in said.values())


def test_no_password_of_the_application_is_told(careless: Judgement) -> None:
    assert "hunter2" not in repr(careless)


def test_nothing_is_found_in_a_careful_application_and_comments_accept_lines() -> None:
    careful = judged("careful.tasks")

    assert found(careful) == set()
    assert [(one.rule.name, one.subject) for one in careful.accepted] == [
        ("eta-beyond-visibility", "careful.tasks.tidy")
    ] * 2


def test_the_sample_shop_is_clean_together_with_its_taskqueues() -> None:
    queues = ROOT / "worker_image" / "sample" / "queues.yaml"

    assert found(judged("sluiceway_sample.tasks", ROOT, (queues,))) == set()


def test_a_project_accepts_a_rule_for_some_tasks_or_files(careless: Judgement) -> None:
    app = careless.app
    accept = ("no-time-limit:careless.tasks.t*", "big-payload:web.py", "prefetch")

    fewer = judge(app, read_sources(app), accept=accept)

    assert {(one.rule.name, one.path.name) for one in fewer.accepted} == {
        ("no-time-limit", "tasks.py"),
        ("big-payload", "web.py"),
        ("prefetch", "settings.py"),
    }


def test_a_rule_that_does_not_exist_cannot_be_accepted(careless: Judgement) -> None:
    with pytest.raises(AcceptError, match="there is no rule no-timelimit: write one of broker-"):
        judge(careless.app, (), accept=("no-timelimit:shop.*",))


def test_a_comment_that_accepts_what_is_no_rule_is_told_with_its_place(
    careless: Judgement, tmp_path: Path
) -> None:
    file = tmp_path / "slip.py"
    file.write_text("x = 1  # sluiceway: ignore[no-timelimit]\n", encoding="utf-8")

    with pytest.raises(AcceptError, match=r"slip\.py:1: there is no rule no-timelimit"):
        judge(careless.app, read_sources(careless.app, [file]))


def test_pyproject_names_what_is_accepted(tmp_path: Path) -> None:
    file = tmp_path / "pyproject.toml"

    assert accepted_in(tmp_path) == ()
    file.write_text('[tool.sluiceway.check]\nignore = ["prefetch"]\n', encoding="utf-8")
    assert accepted_in(tmp_path) == ("prefetch",)
    file.write_text('[tool.sluiceway.check]\nignore = "prefetch"\n', encoding="utf-8")
    with pytest.raises(AcceptError, match="write a list of texts"):
        accepted_in(tmp_path)


def test_an_application_that_cannot_be_imported_is_told_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("import nowhere\n", encoding="utf-8")

    with pytest.raises(LoadError, match=r"-A broken: cannot be loaded: ModuleNotFoundError: .*"):
        load_app("broken", workdir=tmp_path)


def test_a_variable_that_the_environment_lacks_is_told_with_the_line_that_reads_it(
    tmp_path: Path,
) -> None:
    (tmp_path / "shop.py").write_text("import os\n\nos.environ['SHOPS_BROKER']\n", "utf-8")

    with pytest.raises(
        LoadError,
        match=r"KeyError: 'SHOPS_BROKER', which the environment lacks: set it .*shop\.py:3\)$",
    ):
        load_app("shop", workdir=tmp_path)


def test_a_name_that_no_module_has_is_told_without_a_place_in_python_itself(tmp_path: Path) -> None:
    with pytest.raises(LoadError, match=r"'shpo'; are the name and --workdir right\?$"):
        load_app("shpo", workdir=tmp_path)


def test_what_an_application_prints_while_it_is_loaded_does_no_harm(tmp_path: Path) -> None:
    text = 'from celery import Celery\nprint("hello")\napp = Celery("loud")\n'
    (tmp_path / "loud.py").write_text(text, encoding="utf-8")

    assert load_app("loud", workdir=tmp_path).tasks == ()


def test_settings_with_a_prefix_as_in_django_count_as_given(tmp_path: Path) -> None:
    (tmp_path / "conf.py").write_text("CELERY_TASK_ACKS_LATE = False\n", encoding="utf-8")
    text = (
        "from celery import Celery\n"
        'app = Celery("prefixed")\napp.config_from_object("conf", namespace="CELERY")\n'
    )
    (tmp_path / "prefixed.py").write_text(text, encoding="utf-8")

    assert load_app("prefixed", workdir=tmp_path).given == {"task_acks_late"}


def test_an_application_that_ends_its_process_is_told(tmp_path: Path) -> None:
    (tmp_path / "gone.py").write_text("import os\nos._exit(7)\n", encoding="utf-8")

    with pytest.raises(LoadError, match="-A gone: loading it ended with exit code 7"):
        load_app("gone", workdir=tmp_path)


def test_a_python_that_is_not_there_or_has_no_celery_is_told(tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    bare.write_text(f'#!/bin/sh\nexec {sys.base_prefix}/bin/python3 -I -S "$@"\n', encoding="utf-8")
    bare.chmod(0o755)

    with pytest.raises(NoCeleryError, match="has no Celery: name the application's own"):
        load_app("careless.tasks", python=str(bare), workdir=APPS)
    with pytest.raises(NoCeleryError, match="--python /nowhere/python: No such file"):
        load_app("careless.tasks", python="/nowhere/python", workdir=APPS)


def test_source_that_is_not_there_is_told(careless: Judgement) -> None:
    with pytest.raises(SourceError, match=r"--source .*nowhere: there is no such file"):
        read_sources(careless.app, [APPS / "nowhere"])


def test_every_rule_is_told_in_words_that_fit_into_a_sentence() -> None:
    for rule in RULES.values():
        assert rule.title[0].isupper()
        assert not (rule.title + rule.reason + rule.mend).endswith(".")
        assert rule.severity in Severity
