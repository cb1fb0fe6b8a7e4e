from hypothesis import given
from hypothesis import strategies as st

from studio.auth import api_keys


def test_a_generated_key_round_trips() -> None:
    parts = api_keys.generate()
    assert api_keys.split(api_keys.join(parts)) == parts
    assert api_keys.verify_secret(parts.secret, api_keys.hash_secret(parts.secret))


def test_keys_differ() -> None:
    assert len({api_keys.generate() for _ in range(100)}) == 100


@given(st.text())
def test_only_the_right_secret_verifies(text: str) -> None:
    parts = api_keys.generate()
    assert not api_keys.verify_secret(text, api_keys.hash_secret(parts.secret))


@given(st.text())
def test_any_text_is_split_or_refused(text: str) -> None:
    parts = api_keys.split(text)
    assert parts is None or api_keys.join(parts) == text
