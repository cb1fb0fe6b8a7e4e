from collections.abc import Iterator

import pytest

from studio.compute_tasks import callbacks, delivery
from studio.settings import Settings


@pytest.fixture(autouse=True)
def fresh_settings(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("CALLBACK_SECRET", "a deployment's")
    Settings.load.__func__.cache_clear()  # type: ignore[attr-defined]
    yield
    Settings.load.__func__.cache_clear()  # type: ignore[attr-defined]


def test_a_signature_is_that_of_timestamp_and_body() -> None:
    # printf '1700000000.{"job_id": "job_1"}' | openssl dgst -sha256 -hmac whsec_test
    assert callbacks.sign("whsec_test", 1_700_000_000, b'{"job_id": "job_1"}') == (
        "t=1700000000,v1=0128b851b168628e4be3a16396eee93c99fd8b2c0a3982c25952a1c52bb125a8"
    )


def test_every_user_has_a_secret_of_their_own() -> None:
    # printf 'webhook:usr_1' | openssl dgst -sha256 -hmac "a deployment's" -binary | base64
    assert callbacks.derive_secret("usr_1") == "whsec_F/fH+x4qYbS99gsu4bMfFBB5C4s5/s21moll+ggIEG8="
    assert callbacks.derive_secret("usr_2") != callbacks.derive_secret("usr_1")


def test_tries_are_ever_further_apart() -> None:
    assert [delivery.retry_delay(tries) for tries in range(1, 9)] == [30, 60, 120, 240, 480, 960, 1920, 0]


def test_the_time_between_tries_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALLBACK_ATTEMPTS", "12")
    Settings.load.__func__.cache_clear()  # type: ignore[attr-defined]
    assert [delivery.retry_delay(tries) for tries in (7, 8, 11, 12)] == [1920, 3600, 3600, 0]
