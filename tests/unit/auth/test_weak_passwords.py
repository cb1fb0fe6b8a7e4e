import pytest

from studio.auth.passwords import find_weakness
from tests.speed import assert_quick

KNOWN = ["ada.lovelace", "example", "com"]


@pytest.mark.parametrize(
    "password",
    [
        "123456789012",
        "password1234",
        "P@ssw0rd1234",
        "passwordpassword",
        "qwertyuiop[]",
        "aaaaaaaaaaaa",
        "letmeinletmein",
        "1qaz2wsx3edc4rfv",
        "ada.lovelace1",
        "examplestudio1",
    ],
)
def test_what_people_choose_is_found(password: str) -> None:
    assert find_weakness(password, KNOWN)


@pytest.mark.parametrize(
    "password", ["correct horse battery", "0f3b9c1d2e4a5b6c", "zwölf Möwen überm Deich", "éééqk9$wLz7!v"]
)
def test_what_nobody_guesses_is_none(password: str) -> None:
    assert find_weakness(password, KNOWN) is None


@pytest.mark.parametrize("length", [72, 73, 128])
def test_a_long_password_is_judged_in_bounded_time(length: int) -> None:
    """Each letter of this may stand for another one; all 72 would take seconds."""
    password = ("4@8({[<369&#!1/|0$5+7%2" * 6)[:length]
    assert_quick(lambda: find_weakness(password, KNOWN), 4)
