"""The forms of commands that the pages use, for programs that a test cannot ask.

A word after the program, then the options that are known to it: a slip in a page is then
a word that is not here. Whoever needs a new form adds it, after having run it once.
"""

from __future__ import annotations

import re
import shlex

_KUBECTL = {
    "annotate": "overwrite",
    "api-resources": "",
    "apply": "server-side force-conflicts",
    "auth": "list as",
    "config": "current",
    "create": "from-literal",
    "delete": "all",
    "describe": "",
    "exec": "",
    "get": "watch label-columns show-labels",
    "label": "",
    "logs": "previous follow all-containers",
    "patch": "type patch patch-file",
    "port-forward": "",
    "rollout": "timeout",
    "scale": "replicas",
    "top": "",
    "wait": "for timeout all",
}
_HELM = {
    "install": "create-namespace wait set values set-json",
    "upgrade": "reset-then-reuse-values install set values reuse-values",
    "rollback": "",
    "uninstall": "",
    "test": "",
    "template": "set values",
    "get": "",
}
_GLOBAL = {
    "kubectl": (
        "n namespace A all-namespaces f filename k kustomize l selector o output c container"
    ),
    "helm": "n namespace f take-ownership kubeconfig",
    "docker": "tag target output t platform",
    "pip": "q",
    "gcloud": (
        "cluster machine-type enable-autoscaling min-nodes max-nodes node-labels node-taints"
    ),
    "az": (
        "resource-group cluster-name name node-vm-size enable-cluster-autoscaler min-count "
        "max-count labels node-taints"
    ),
    "git": "",
    "cosign": "certificate-identity-regexp certificate-oidc-issuer key",
    "kustomize": "",
    "flux": "with-source source path export",
    "argocd": "grpc-web",
    "redis-cli": "n u",
    "pre-commit": "all-files",
    "curl": "s f",
}
_VERBS: dict[str, dict[str, str]] = {
    "kubectl": _KUBECTL,
    "helm": _HELM,
    "docker": {"build": "", "push": "", "save": "", "buildx": ""},
    "pip": {"install": ""},
    "gcloud": {"container": ""},
    "az": {"aks": ""},
    "git": {"clone": "", "tag": "", "push": "", "log": "", "ls-files": ""},
    "cosign": {"verify": ""},
    "kustomize": {"build": ""},
    "flux": {"reconcile": "", "get": "", "create": ""},
    "argocd": {"app": ""},
    "redis-cli": {"info": "", "config": ""},
    "pre-commit": {"install": "", "run": ""},
}
PROGRAMS = frozenset(_VERBS)


def unknown_in(command: str) -> list[str]:
    """The words of a command that are not known; empty when it has a known form."""
    program, *words = shlex.split(command)
    verbs = _VERBS[program]
    plain = _without_values(words, set(_GLOBAL.get(program, "").split()))
    if not plain or plain[0] not in verbs:
        return [f"{program} {' '.join(plain[:1])}"]
    known = set(f"{_GLOBAL.get(program, '')} {verbs[plain[0]]}".split())
    return [option for option in _options(words) if option not in known]


def _options(words: list[str]) -> list[str]:
    before_dashes = words[: words.index("--")] if "--" in words else words
    return [
        match[1]
        for word in before_dashes
        if (match := re.match(r"--?([A-Za-z][\w-]*)", word)) is not None
    ]


def _without_values(words: list[str], with_value: set[str]) -> list[str]:
    """The words that are no options; an option of the program itself takes the next one."""
    plain: list[str] = []
    rest = iter(words)
    for word in rest:
        if not word.startswith("-"):
            plain.append(word)
        elif "=" not in word and word.lstrip("-") in with_value - {"A", "all-namespaces"}:
            next(rest, None)
    return plain
