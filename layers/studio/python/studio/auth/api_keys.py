"""The form of an API key: ``studio_<prefix>_<secret>``."""

import hashlib
import hmac
import secrets
from typing import NamedTuple


class KeyParts(NamedTuple):
    """A key taken apart: the prefix finds it, the secret proves it."""

    prefix: str
    secret: str


def generate() -> KeyParts:
    """Draw a fresh key: 48 bits of prefix, 256 bits of secret.

    Returns
    -------
    KeyParts
    """
    return KeyParts(secrets.token_hex(6), secrets.token_hex(32))


def join(parts: KeyParts) -> str:
    """Write a key as the user gets it.

    Parameters
    ----------
    parts : KeyParts
    """
    return f"studio_{parts.prefix}_{parts.secret}"


def split(api_key: str) -> KeyParts | None:
    """Take a key apart; None where it does not look like one.

    Parameters
    ----------
    api_key : str
    """
    match api_key.split("_"):
        case ["studio", prefix, secret] if prefix.isalnum() and secret.isalnum():
            return KeyParts(prefix, secret)
    return None


def hash_secret(secret: str) -> str:
    """Hash a secret for storage.

    A plain SHA-256 is enough for 256 random bits; a slow hash is for what people make up.

    Parameters
    ----------
    secret : str

    Returns
    -------
    str
        64 hexadecimal digits.
    """
    return hashlib.sha256(secret.encode()).hexdigest()


def verify_secret(secret: str, secret_hash: str) -> bool:
    """Compare in constant time.

    Parameters
    ----------
    secret, secret_hash : str
    """
    return hmac.compare_digest(hash_secret(secret), secret_hash)
