"""Passwords: argon2id with RFC 9106's second recommended parameters, argon2-cffi's default."""

from collections.abc import Sequence

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError

_hasher = PasswordHasher()
# Guesses that an attacker needs who knows what people choose: zxcvbn's score 3, "safely unguessable".
_MIN_GUESSES = 10**8
_JUDGED_LENGTH = 32  # time grows with what may stand for another letter: half a second at worst
# Of a random password that nobody kept: what an unknown user's password is compared with.
_DECOY = "$argon2id$v=19$m=65536,t=3,p=4$eksoipFAU1peroXbLyY+lQ$1M+6cdCui3Ms2lEopvdcH3U5ddYcSaLlb9mtBDIooRI"


def find_weakness(password: str, known: Sequence[str]) -> str | None:
    """Tell what makes a password easy to guess; None where nothing does.

    zxcvbn brings the lists (30,000 common passwords, words, names) and finds them when they are doubled, turned round,
    in l33t, with a year or an exclamation mark as well: of 12 characters and more, the lists alone have a few hundred.

    Parameters
    ----------
    password : str
    known : sequence of str
        What an attacker knows of the user.
    """
    # Not at the top: only the function that registers users has it.
    from zxcvbn import zxcvbn

    judged = zxcvbn(password[:_JUDGED_LENGTH], user_inputs=[*known, "studio"])
    if judged["guesses"] >= _MIN_GUESSES:
        return None
    return judged["feedback"]["warning"].rstrip(".") or "it is too common"


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
