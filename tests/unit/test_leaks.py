"""What looks for secrets in the logs of a run finds them."""

import json
import secrets
from collections import Counter
from pathlib import Path

import pytest

from studio.auth import api_keys
from tests import leaks
from tests.speed import assert_quick

PASSWORD, KEY = secrets.token_hex(8), api_keys.generate()
ADDRESS = "mongodb://studio:password@db.example/"


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep what is planted and found here from the run that this is a test of."""
    monkeypatch.setattr(leaks, "planted", {PASSWORD, KEY.secret, ADDRESS})
    monkeypatch.setattr(leaks, "found", Counter())
    monkeypatch.setattr(leaks, "_sizes", {})


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        (f"registered with {PASSWORD}", "planted secret"),
        (f"é{PASSWORD}", "planted secret"),
        (f"0123abcd{PASSWORD}0123abcd", "planted secret"),
        (f"the secret {KEY.secret} alone", "planted secret"),
        (f"cannot connect to {ADDRESS}", "planted secret"),
        (f"Authorization: {api_keys.join(api_keys.generate())}", "API key"),
        ("whsec_" + "aB+/" * 10 + "aB0=", "callback secret"),
        ("$argon2id$v=19$m=65536,t=3,p=4$c2FsdA$aGFzaA", "password's hash"),
    ],
)
def test_a_secret_is_found_plain_and_as_json_has_it(line: str, kind: str) -> None:
    for text in (line, json.dumps({"message": f"trace\n{line}"})):
        assert leaks.tells(f"other lines\n{text}\nand more".encode()) == {kind: 1}


def test_what_is_no_secret_is_not_found() -> None:
    text = (
        f"studio_{KEY.prefix} {secrets.token_hex(32)} {PASSWORD[:-1]} job_{secrets.token_hex(12)} mongodb://db.example/"
    )
    assert not leaks.tells(text.encode())


def test_logs_are_looked_at_from_the_beginning_of_the_run(tmp_path: Path) -> None:
    old, new = tmp_path / "old.log", tmp_path / "new.log"
    old.write_text(f"of an earlier run: {PASSWORD}\n")
    leaks.begin(tmp_path)
    with old.open("a") as log:
        log.write("nothing\n")
    new.write_text(f"{PASSWORD}\n{api_keys.join(KEY)}\n")
    leaks.look_at_logs(tmp_path)
    assert leaks.found == {"new.log: API key": 1, "new.log: planted secret": 2}


def test_a_long_log_is_looked_at_soon() -> None:
    leaks.planted.update(secrets.token_hex(8) for _ in range(2000))
    line = '{"level":"INFO","message":"answered","function_request_id":"%s","job":"job_%s"}\n'
    text = "".join(line % (secrets.token_hex(16), secrets.token_hex(12)) for _ in range(100_000)).encode()
    assert not leaks.tells(text)
    assert_quick(lambda: leaks.tells(text), 5)
