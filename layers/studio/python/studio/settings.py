"""Settings: one frozen model a feature, read from the environment on first use."""

import os
from functools import cache
from typing import Self

from pydantic import BaseModel, ConfigDict


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
    # Not at the top: it brings boto3, which a function without secrets does without.
    from aws_lambda_powertools.utilities import parameters

    return str(parameters.get_secret(arn, max_age=300))


def forget_secrets() -> None:
    """Read every secret anew on its next use."""
    from aws_lambda_powertools.utilities import parameters

    parameters.clear_caches()  # type: ignore[no-untyped-call]
