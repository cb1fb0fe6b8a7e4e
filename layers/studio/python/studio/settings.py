"""Settings: one frozen model a feature, read from the environment on first use."""

import os
from functools import cache
from typing import TYPE_CHECKING, Self

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.parameters import SecretsProvider


class Settings(BaseModel):
    """Base of every feature's settings; a field `bucket_name` is read from the variable `BUCKET_NAME`."""

    model_config = ConfigDict(frozen=True, extra="ignore", alias_generator=str.upper)

    @classmethod
    @cache
    def load(cls) -> Self:
        """Read the environment, once a process.

        Raises
        ------
        pydantic.ValidationError
            If a variable is missing or out of range.
        """
        return cls.model_validate(dict(os.environ))


@cache
def _secrets() -> "SecretsProvider":
    # Not at the top: they bring boto3, which a function without secrets does without.
    from aws_lambda_powertools.utilities.parameters import SecretsProvider
    from botocore.config import Config

    return SecretsProvider(boto_config=Config(connect_timeout=1, read_timeout=3, retries={"total_max_attempts": 2}))


def get_secret(arn: str) -> str:
    """Value of a Secrets Manager secret, cached for five minutes.

    Parameters
    ----------
    arn : str
        ARN of the secret.

    Returns
    -------
    str
        The secret string.
    """
    return str(_secrets().get(arn, max_age=300))


def forget_secrets() -> None:
    """Read every secret again on its next use."""
    _secrets.cache_clear()
