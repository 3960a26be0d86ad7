"""Writes the pages of docs/reference that the code itself can tell.

TaskQueue and WorkerClass come from the models and their rules, the command line from the
commands, metrics and guardrails from where they are declared.

    python tools/reference_docs.py            # writes them
    python tools/reference_docs.py --check    # says which are not current, and exits with 1
"""

from __future__ import annotations

import importlib
import pkgutil
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from sluiceway import report
from sluiceway.api.duration import PATTERN
from sluiceway.api.rules import RULES as API_RULES
from sluiceway.api.schema import structural_schema
from sluiceway.cli.main import COMMANDS, command_named
from sluiceway.cli.output import EXIT_CODES
from sluiceway.guardrails.judge import RULES as GUARDRAILS
from sluiceway.report.metric import Metric
from sluiceway_worker.__main__ import USAGE

ROOT = Path(__file__).resolve().parents[1]
PAGES = ROOT / "docs" / "reference"
MADE = "<!-- Made by `make generate`; what it is made from says what to change. -->\n"


def pages() -> dict[Path, str]:
    """Every page with what it is to hold."""
    return {
        PAGES / "taskqueue.md": kind_page("TaskQueue", ("spec", "status")),
        PAGES / "workerclass.md": kind_page("WorkerClass", ("spec",)),
        PAGES / "command-line.md": command_page(),
        PAGES / "metrics.md": metrics_page(),
        PAGES / "guardrails.md": guardrails_page(),
    }


def kind_page(kind: str, parts: Iterable[str]) -> str:
    """The fields of a kind, and what is refused."""
    schema = structural_schema(kind)
    text = f"# {kind}\n{MADE}\n{schema['description']}\n"
    text += (
        "\n`apiVersion: sluiceway.dev/v1alpha1`. Durations are written as `30s`, `10m`, `1h30m`.\n"
    )
    for part in parts:
        text += f"\n## {part}\n" + _fields_table(schema["properties"][part], part)
    text += (
        "\n## What is refused\n"
        "By the API server when the object is applied, and by `sluiceway check` before. Beyond "
        "types, lengths\nand choices:\n\n| field | sentence |\n|---|---|\n"
    )
    for rule in API_RULES[kind]:
        field = ".".join(filter(None, (rule.at, rule.field)))
        # The values of an object stand in brackets; here there is none.
        sentence = re.sub(r" \(\{[\w.]+\}\)", "", rule.sentence)
        text += f"| `{field}` | {_cell(sentence)} |\n"
    return text


def _fields_table(node: dict[str, Any], path: str) -> str:
    rows = "".join(
        f"| `{name}` | {_type(one)} | {_default(one)} | {_cell(one.get('description', ''))} |\n"
        for name, one in _fields(node, path)
    )
    return f"| field | type | default | |\n|---|---|---|---|\n{rows}"


def _fields(node: dict[str, Any], path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, member in node.get("properties", {}).items():
        here = f"{path}.{name}"
        yield here, member
        yield from _fields(member, here)
        yield from _fields(member.get("items", {}), f"{here}[]")
        if isinstance(member.get("additionalProperties"), dict):
            yield from _fields(member["additionalProperties"], f"{here}.*")


def _type(node: dict[str, Any]) -> str:
    if "enum" in node:
        return " or ".join(f"`{one}`" for one in node["enum"])
    if node.get("x-kubernetes-int-or-string"):
        return "quantity"
    if any(PATTERN in rule["rule"] for rule in node.get("x-kubernetes-validations", ())):
        return "duration"
    if node.get("type") == "array":
        return f"list of {_type(node['items'])}"
    bounds = [str(node[name]) for name in ("minimum", "maximum") if name in node]
    return str(node.get("type", "any")) + (f" {' to '.join(bounds)}" if len(bounds) == 2 else "")


def _default(node: dict[str, Any]) -> str:
    default = node.get("default")
    if default is None or isinstance(default, dict):
        return ""
    return f"`{default!r}`" if "\x06" in str(default) else f"`{default}`"


def command_page() -> str:
    """Every command with its options."""
    text = f"# Command line\n{MADE}\n{EXIT_CODES}\n"
    for name in COMMANDS:
        command = command_named(name)
        context = command.context_class(command, info_name=f"sluiceway {name}", terminal_width=90)
        usage = " ".join(command.collect_usage_pieces(context))
        help_text = re.sub(r"[ \t]+", " ", (command.help or "").replace("\b", ""))
        text += f"\n## sluiceway {name}\n```text\nsluiceway {name} {usage}\n```\n\n"
        text += help_text.strip() + "\n\n| option | |\n|---|---|\n"
        for parameter in command.params:
            record = parameter.get_help_record(context)
            if record is not None and "--help" not in record[0]:
                text += f"| `{_cell(record[0])}` | {_cell(record[1])} |\n"
    return text + f"\n## sluiceway-worker\n```text\n{USAGE}```\n"


def metrics_page() -> str:
    """All metrics, by what they tell of."""
    text = (
        f"# Metrics\n{MADE}\nServed by the operator on `/metrics`. A number that is not known is "
        "absent, never 0.\nHistograms have the suffixes `_bucket`, `_sum` and `_count`.\n"
    )
    for title, prefix in (
        ("TaskQueues", "sluiceway_"),
        ("Tasks and workers, as celery-exporter names them", "celery_"),
    ):
        found = [one for one in _metrics() if one.name.startswith(prefix)]
        if not found:
            continue
        text += f"\n## {title}\n| metric | type | labels | |\n|---|---|---|---|\n"
        for metric in found:
            labels = ", ".join(f"`{label}`" for label in metric.labels)
            text += f"| `{metric.name}` | {metric.kind} | {labels} | {_cell(metric.help)} |\n"
    return text


def _metrics() -> list[Metric]:
    """Every metric that a module `…metrics` of the report declares, in its order."""
    found: dict[str, Metric] = {}
    for module in sorted(one.name for one in pkgutil.iter_modules(report.__path__)):
        if not module.endswith("metrics"):
            continue
        declared = vars(importlib.import_module(f"sluiceway.report.{module}")).values()
        for value in declared:
            for one in value if isinstance(value, tuple) else (value,):
                if isinstance(one, Metric):
                    found.setdefault(one.name, one)
    return sorted(found.values(), key=lambda one: one.name)


def guardrails_page() -> str:
    """Every mistake that `sluiceway check -A` finds."""
    text = (
        f"# Guardrails\n{MADE}\nWhat `sluiceway check -A app` finds in a Celery application. "
        "[How to use it](../how-to/check-an-application.md).\n\n"
        "| severity | meaning |\n|---|---|\n"
        "| error | tasks are lost, run twice, or never work |\n"
        "| warning | they may be, on a bad day |\n"
        "| note | a choice that nobody has made, or work for nobody |\n"
    )
    for rule in GUARDRAILS.values():
        text += (
            f"\n## {rule.name}\n{rule.title} ({rule.severity}).\n\n"
            f"**Because** {rule.reason}.\n\n**Mend:** {rule.mend}.\n"
        )
    return text


def _cell(text: str) -> str:
    """Text as a table's cell: one line, and no bar that would end it."""
    return " ".join(text.split()).replace("|", "\\|")


def main(check: bool) -> int:
    """Write the pages, or only say which are not current; the exit code."""
    stale = 0
    for path, text in pages().items():
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        if check:
            stale += 1
            print(f"{path.relative_to(ROOT)} is not current; run `make generate`")
        else:
            path.write_text(text, encoding="utf-8")
            print(path.relative_to(ROOT))
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main(check="--check" in sys.argv[1:]))
