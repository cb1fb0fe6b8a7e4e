"""Users and API keys: what the API takes and answers, and what MongoDB stores."""

import re
from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, StringConstraints

from studio.documents import Document
from studio.names import Name

Scope = Literal["grade", "export", "admin"]

_EMAIL = r"^[^@\s\x00-\x1f\x7f-\x9f]+@[^@\s\x00-\x1f\x7f-\x9f]+\.[^@\s\x00-\x1f\x7f-\x9f]+$"


def _check_email(email: str) -> str:
    if not re.fullmatch(_EMAIL, email):
        raise ValueError("an email address is like ada@example.com")
    return email


Email = Annotated[
    str,
    StringConstraints(strip_whitespace=True, to_lower=True, max_length=254),
    AfterValidator(_check_email),
    Field(description="Case does not matter.", examples=["ada@example.com"], json_schema_extra={"pattern": _EMAIL}),
]


class RegisterRequest(BaseModel):
    """Body of POST /auth/register."""

    model_config = ConfigDict(extra="forbid")

    email: Email
    password: SecretStr = Field(
        min_length=12,
        max_length=128,
        description="12 to 128 characters, whose first 32 must not be easy to guess: common ones, also with a year or "
        "other letters, your email, keys in a row.",
    )
    invite: SecretStr | None = Field(default=None, description="The invite code, where registration needs one.")


class LoginRequest(BaseModel):
    """Body of POST /auth/login."""

    model_config = ConfigDict(extra="forbid")

    email: Email
    password: SecretStr = Field(min_length=1, max_length=128)


class CreateApiKeyRequest(BaseModel):
    """Body of POST /auth/api-keys."""

    model_config = ConfigDict(extra="forbid")

    name: Name = Field(description="What the key is for.", examples=["retouch script"])
    scopes: list[Scope] = Field(
        default=["grade", "export"],
        min_length=1,
        max_length=3,
        description="What the key may do; at most what yours may.",
    )
    expires_in_days: int | None = Field(
        default=None,
        ge=1,
        le=3650,
        description="The key ends no later than yours, and by default when yours does. That of a login sets no limit: "
        "by default, what it makes does not expire.",
    )


class RotateApiKeyRequest(BaseModel):
    """Body of POST /auth/api-keys/{key_id}/rotate."""

    model_config = ConfigDict(extra="forbid")

    grace_seconds: int = Field(
        default=0,
        ge=0,
        le=7 * 24 * 3600,
        description="Seconds for which the previous secret keeps working; up to 60 s more, for the authorizer's cache.",
    )


class DeleteUserRequest(BaseModel):
    """Body of DELETE /auth/me."""

    model_config = ConfigDict(extra="forbid")

    password: SecretStr = Field(
        min_length=1, max_length=128, description="Your password: a key alone cannot delete its user."
    )


class UserResponse(BaseModel):
    """A user."""

    user_id: str
    email: str
    created_at: datetime


class CurrentUserResponse(UserResponse):
    """The user behind a key, and what the key may do."""

    key_id: str
    scopes: list[Scope] = Field(description="Of the key.")


class ApiKeyResponse(BaseModel):
    """A new API key; `api_key` is shown only here, and stored only as a hash."""

    key_id: str
    api_key: str = Field(description="Send it as X-API-KEY.")
    name: str
    scopes: list[Scope]
    created_at: datetime
    expires_at: datetime | None


class ApiKeySummary(BaseModel):
    """An API key without its secret."""

    key_id: str
    prefix: str = Field(description="What the key begins with.", examples=["studio_5f3a9c01d2e4"])
    name: str
    scopes: list[Scope]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None = Field(description="To the minute.")


class ListApiKeysResponse(BaseModel):
    """A page of keys, newest first."""

    items: list[ApiKeySummary]
    next_cursor: str | None = Field(description="Send it as `cursor` for the next page; null on the last.")


class User(Document):
    """Collection `users`."""

    id: str = Field(alias="_id")
    email: str
    password_hash: str = Field(repr=False)
    scopes: list[Scope]
    created_at: datetime


class ApiKey(Document):
    """Collection `apiKeys`: found by prefix, proven by the hash of the secret.

    Attributes
    ----------
    previous_secret_hash : str or None
        Of the secret before the last rotation, which works until `previous_until`.
    is_login : bool
        Whether a login made it.
    """

    id: str = Field(alias="_id")
    user_id: str
    prefix: str
    secret_hash: str = Field(repr=False)
    previous_secret_hash: str | None = Field(default=None, repr=False)
    previous_until: datetime | None = None
    name: str
    is_login: bool = False
    scopes: list[Scope]
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    last_used_at: datetime | None = None


class DeletedUser(Document):
    """Collection `deletedUsers`: who was deleted, as long as something of theirs may be left."""

    id: str = Field(alias="_id")
    deleted_at: datetime
    swept_at: datetime
