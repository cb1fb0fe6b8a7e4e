"""Settings of users and keys."""

from typing import Literal

from pydantic import Field

from studio.settings import Settings


class AuthSettings(Settings):
    """Who may register, and how long a login lasts."""

    registration: Literal["open", "invite", "closed"] = "closed"
    registration_invite_secret_arn: str | None = None
    login_key_seconds: int = Field(default=12 * 3600, ge=60)
