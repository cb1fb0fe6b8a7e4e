from argon2 import extract_parameters

from studio.auth.passwords import _DECOY, hash_password, verify_password


def test_only_the_right_password_verifies() -> None:
    stored = hash_password("correct horse battery")
    assert stored.startswith("$argon2id$")
    assert verify_password("correct horse battery", stored)
    assert not verify_password("correct horse battery ", stored)
    assert not verify_password("", stored)


def test_an_unknown_user_never_verifies() -> None:
    assert not verify_password("nobody's password", None)


def test_an_unknown_user_takes_as_long_as_a_new_one() -> None:
    """A hash of other parameters takes another time: the library may change its own with a version."""
    assert extract_parameters(_DECOY) == extract_parameters(hash_password("anybody's password"))
