from studio.auth.passwords import hash_password, verify_password


def test_only_the_right_password_verifies() -> None:
    stored = hash_password("correct horse battery")
    assert stored.startswith("$argon2id$")
    assert verify_password("correct horse battery", stored)
    assert not verify_password("correct horse battery ", stored)
    assert not verify_password("", stored)


def test_an_unknown_user_never_verifies() -> None:
    assert not verify_password("nobody's password", None)
