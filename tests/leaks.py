"""Secrets of a run's users and stacks: none of its logs may tell one, which fails the run where all tests pass."""

import re
from collections import Counter
from pathlib import Path

from local.stack import LOGS, Stack

# What is known by its form, whoever's it is.
_FORMS = {
    "API key": re.compile(rb"studio_[0-9a-f]{12}_[0-9a-f]{64}"),
    "callback secret": re.compile(rb"whsec_[A-Za-z0-9+/]{43}="),
    "password's hash": re.compile(rb"\$argon2"),
}
# What has none; of those in hexadecimal the first so many digits are looked for, in runs of digits: there are many.
_HEAD = 16
_DIGITS = re.compile(rb"[0-9a-f]{16,}")

planted: set[str] = set()
found: Counter[str] = Counter()

_sizes: dict[Path, int] = {}


def stored_secrets(stack: Stack) -> set[str]:
    """Return what the stack's Secrets Manager holds, but for words that stand for a key where none is needed."""
    manager = stack.client("secretsmanager")
    names = [found["ARN"] for page in manager.get_paginator("list_secrets").paginate() for found in page["SecretList"]]
    values = {manager.get_secret_value(SecretId=name)["SecretString"] for name in names}
    return {value for value in values if len(value) > 16}


def tells(text: bytes) -> Counter[str]:
    """Count the secrets in a text by their kinds."""
    counts = Counter({kind: len(form.findall(text)) for kind, form in _FORMS.items()})
    secrets = [secret.encode() for secret in planted]
    heads = {secret[:_HEAD] for secret in secrets if _DIGITS.fullmatch(secret)}
    others = {secret for secret in secrets if not _DIGITS.fullmatch(secret)}
    for digits in set(_DIGITS.findall(text)):
        starts = range(len(digits) - _HEAD + 1)
        counts["planted secret"] += any(digits[at : at + _HEAD] in heads for at in starts)
    counts["planted secret"] += sum(secret in text for secret in others)
    return +counts


def look(place: str, text: bytes) -> None:
    """Keep which secrets a text tells."""
    for kind, number in tells(text).items():
        found[f"{place}: {kind}"] += number


def begin(folder: Path = LOGS) -> None:
    """Look at what is logged from now on."""
    _sizes.clear()
    _sizes.update({path: path.stat().st_size for path in folder.glob("*.log")})


def look_at_logs(folder: Path = LOGS) -> None:
    """Keep which secrets the stacks' logs tell."""
    for path in folder.glob("*.log"):
        with path.open("rb") as log:
            log.seek(_sizes.get(path, 0))
            look(path.name, log.read())
