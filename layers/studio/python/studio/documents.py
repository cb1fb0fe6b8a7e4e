"""Base of what MongoDB stores."""

from datetime import UTC, datetime
from typing import Any, Self

from bson import ObjectId
from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


def new_id(kind: str) -> str:
    """Make an id that names its kind and sorts by creation time, e.g. ``usr_6560…``.

    Parameters
    ----------
    kind : str
        Three or so letters.

    Returns
    -------
    str
        The kind, an underscore and the 24 hexadecimal digits of a fresh `bson.ObjectId`.
    """
    return f"{kind}_{ObjectId()}"


def utc_now() -> datetime:
    """Return the time in UTC, to the millisecond, which is what MongoDB keeps: what is answered is what is stored.

    Returns
    -------
    datetime
    """
    moment = datetime.now(UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


class Document(BaseModel):
    """A stored document: snake_case here, camelCase in MongoDB; a field with alias ``_id`` is its key."""

    model_config = ConfigDict(frozen=True, extra="ignore", alias_generator=to_camel, validate_by_name=True)

    def to_mongo(self) -> dict[str, Any]:
        """Return the document as MongoDB stores it."""
        return self.model_dump(by_alias=True)

    @classmethod
    def from_mongo(cls, document: dict[str, Any]) -> Self:
        """Read a stored document.

        Parameters
        ----------
        document : dict
            As MongoDB returns it.
        """
        return cls.model_validate(document)
