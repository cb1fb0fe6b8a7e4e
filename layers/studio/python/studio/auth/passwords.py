"""Passwords: argon2id with RFC 9106's second recommended parameters, argon2-cffi's default."""

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError

_hasher = PasswordHasher()
# Of a random password that nobody kept: what an unknown user's password is compared with.
_DECOY = "$argon2id$v=19$m=65536,t=3,p=4$eksoipFAU1peroXbLyY+lQ$1M+6cdCui3Ms2lEopvdcH3U5ddYcSaLlb9mtBDIooRI"


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
        _hasher.verify(password_hash or _DECOY, password)
    except VerifyMismatchError:
        return False
    return password_hash is not None
