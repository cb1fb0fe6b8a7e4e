"""Passwords: argon2id with RFC 9106's second recommended parameters, argon2-cffi's default."""

from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError

_hasher = PasswordHasher()


@cache
def _decoy() -> str:
    return _hasher.hash("nobody's password")


def hash_password(password: str) -> str:
    """Hash a password for storage.

    Parameters
    ----------
    password : str
    """
    return _hasher.hash(password)


def verify_password(password: str, password_hash: str | None) -> bool:
    """Compare a password; an unknown user (None) takes as long as a wrong password.

    Parameters
    ----------
    password : str
    password_hash : str or None
    """
    try:
        _hasher.verify(password_hash or _decoy(), password)
    except VerifyMismatchError:
        return False
    return password_hash is not None
