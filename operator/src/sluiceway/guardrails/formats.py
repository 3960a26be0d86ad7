"""Findings as text for people, as JSON, as SARIF for code scanning, as JUnit for CI."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from sluiceway.guardrails.finding import Finding, Rule, Severity
from sluiceway.guardrails.judge import RULES, Judgement

SARIF_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def shown(path: Path, base: Path) -> str:
    """A path as it is told: relative to ``base`` where it lies below it."""
    return path.relative_to(base).as_posix() if path.is_relative_to(base) else path.as_posix()


def as_text(judged: Judgement, base: Path) -> str:
    """A line for each finding, as compilers write it, and one that sums up."""
    lines = [
        f"{shown(one.path, base)}:{one.line}: {one.rule.severity}: {one.message} [{one.rule.name}]"
        for one in judged.findings
    ]
    return "\n".join([*lines, summary(judged)])


def summary(judged: Judgement) -> str:
    """What was looked at, and how much of which weight was found."""
    counts = Counter(one.rule.severity for one in judged.findings)
    found = ", ".join(_count(counts[severity], severity.value) for severity in Severity)
    looked = f"{_count(len(judged.app.tasks), 'task')} in {_count(judged.files, 'file')}"
    accepted = f"; {len(judged.accepted)} accepted" if judged.accepted else ""
    return f"{judged.app.name}: {looked}: {found}{accepted}"


def as_data(judged: Judgement, base: Path) -> dict[str, Any]:
    """For programs."""
    return {
        "app": judged.app.name,
        "celery": judged.app.celery,
        "tasks": len(judged.app.tasks),
        "files": judged.files,
        "findings": [_entry(one, base) for one in judged.findings],
        "accepted": [_entry(one, base) for one in judged.accepted],
    }


def _entry(one: Finding, base: Path) -> dict[str, Any]:
    return {
        "rule": one.rule.name,
        "severity": one.rule.severity.value,
        "file": shown(one.path, base),
        "line": one.line,
        "task": one.subject or None,
        "what": one.what,
        "reason": one.rule.reason,
        "mend": one.rule.mend,
    }


def as_sarif(judged: Judgement, base: Path, version: str) -> str:
    """SARIF 2.1.0; what is accepted stands in it as suppressed."""
    results = [
        _result(one, base, suppressed=suppressed)
        for ones, suppressed in ((judged.findings, False), (judged.accepted, True))
        for one in ones
    ]
    driver = {
        "name": "sluiceway check",
        "version": version,
        "rules": [_rule(rule) for rule in RULES.values()],
    }
    run = {"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}
    return json.dumps(
        {"$schema": SARIF_SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2, ensure_ascii=False
    )


def _rule(rule: Rule) -> dict[str, Any]:
    return {
        "id": rule.name,
        "shortDescription": {"text": rule.title},
        "fullDescription": {"text": f"{rule.title}: {rule.reason}."},
        "help": {"text": f"{rule.mend[0].upper()}{rule.mend[1:]}."},
        "defaultConfiguration": {"level": rule.severity.value},
    }


def _result(one: Finding, base: Path, *, suppressed: bool) -> dict[str, Any]:
    place = {
        "artifactLocation": {"uri": shown(one.path, base)},
        "region": {"startLine": one.line},
    }
    return {
        "ruleId": one.rule.name,
        "level": one.rule.severity.value,
        "message": {"text": one.message},
        "locations": [{"physicalLocation": place}],
        **({"suppressions": [{"kind": "inSource"}]} if suppressed else {}),
    }


def as_junit(judged: Judgement, base: Path, *, fail_on: Severity) -> str:
    """A test case for each rule that holds, and one for each finding.

    What is below ``fail_on`` passes, with its message as output: the report and the exit
    code agree.
    """
    suite = ElementTree.Element("testsuite", name=f"sluiceway check {judged.app.name}")
    broken = {one.rule.name for one in judged.findings}
    for rule in RULES.values():
        if rule.name not in broken:
            ElementTree.SubElement(suite, "testcase", classname=rule.name, name=rule.title)
    failures = 0
    for one in judged.findings:
        place = f"{shown(one.path, base)}:{one.line}"
        case = ElementTree.SubElement(
            suite, "testcase", classname=one.rule.name, name=f"{place} {one.subject}".strip()
        )
        if one.rule.severity.weight >= fail_on.weight:
            failures += 1
            told = ElementTree.SubElement(
                case, "failure", type=one.rule.severity.value, message=one.message
            )
            told.text = f"{place}: {one.message}"
        else:
            ElementTree.SubElement(case, "system-out").text = f"{place}: {one.message}"
    suite.set("tests", str(len(suite)))
    suite.set("failures", str(failures))
    suites = ElementTree.Element("testsuites", tests=str(len(suite)), failures=str(failures))
    suites.append(suite)
    ElementTree.indent(suites)
    return ElementTree.tostring(suites, encoding="unicode", xml_declaration=True)


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
