"""Where a request's image comes from: inline, one of the caller's objects, or a URL."""

import base64
import binascii
import hashlib
from typing import ClassVar, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, model_validator

from studio import storage
from studio.caller import Caller
from studio.documents import new_id
from studio.errors import InvalidFieldError, TooLargeError
from studio.fetch import fetch
from studio.object_keys import input_key, missing, require_own
from studio.settings import Settings


class ImageSourceSettings(Settings):
    """How big an image may be, by the way it comes in."""

    inline_image_max_bytes: int = Field(default=4_000_000, ge=1)
    stored_image_max_bytes: int = Field(default=200_000_000, ge=1)
    image_url_enabled: bool = False
    image_url_max_bytes: int = Field(default=50_000_000, ge=1)


class ImageSource(BaseModel):
    """Exactly one of three ways to name an image."""

    model_config = ConfigDict(extra="forbid")

    image_required: ClassVar[bool] = True

    image: str | None = Field(
        default=None, description="The file itself: base64 or a data URL, at most 4 MB decoded.", repr=False
    )
    image_key: str | None = Field(default=None, max_length=300, description="`image_key` of one of your uploads.")
    image_url: str | None = Field(
        default=None, max_length=2048, description="An https URL; off unless this deployment allows it."
    )

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        given = [name for name in ("image", "image_key", "image_url") if getattr(self, name) is not None]
        if len(given) > 1 or (self.image_required and not given):
            how_many = "exactly" if self.image_required else "at most"
            raise ValueError(
                f"give {how_many} one of image, image_key and image_url; got {' and '.join(given) or 'none of them'}"
            )
        return self

    @property
    def image_field(self) -> str | None:
        """Name of the field that an image came in; None where there is none."""
        return next(
            (name for name in ("image", "image_key", "image_url") if getattr(self, name) is not None),
            None,
        )


Source = TypeVar("Source", bound=ImageSource)


def load_image(source: ImageSource, caller: Caller) -> bytes:
    """Read the image that a request names.

    Parameters
    ----------
    source : ImageSource
    caller : Caller

    Returns
    -------
    bytes
        The file as it is, not decoded.

    Raises
    ------
    InvalidFieldError
        If it is not base64, or the URL is refused.
    NotFoundError
        If the caller has no such object.
    TooLargeError
        If it has more bytes than allowed for the way it comes in.
    """
    settings = ImageSourceSettings.load()
    if source.image is not None:
        return _decode_inline(source.image, settings.inline_image_max_bytes)
    if source.image_key is not None:
        return load_stored(source.image_key, caller, "image_key")
    if not settings.image_url_enabled:
        raise InvalidFieldError(
            "image_url is off in this deployment; use POST /uploads", code="IMAGE_URL_DISABLED", field="image_url"
        )
    return fetch(source.image_url or "", settings.image_url_max_bytes, "image_url")


def store_inline(source: Source, caller: Caller) -> Source:
    """Return the same source with an inline image as one of the caller's objects, for a request that is kept.

    Parameters
    ----------
    source : ImageSource
    caller : Caller

    Returns
    -------
    ImageSource
        Of the same type.

    Raises
    ------
    InvalidFieldError
        If it is not base64.
    NotFoundError
        If it is named by a key that no object of the caller's can have.
    TooLargeError
        If it has more bytes than allowed.
    """
    if source.image_key is not None:
        require_own(caller, source.image_key, "image_key")
    if source.image is None:
        return source
    data = _decode_inline(source.image, ImageSourceSettings.load().inline_image_max_bytes)
    key = input_key(caller.user_id, new_id("inp"))
    storage.write(key, data, "application/octet-stream", tags={"kind": "result"})  # expires like one
    return source.model_copy(update={"image": None, "image_key": key})


def identify(source: ImageSource, caller: Caller) -> tuple[str, ...] | None:
    """Name an image by its content, the same one however it comes, for a cache's key.

    Parameters
    ----------
    source : ImageSource
    caller : Caller

    Returns
    -------
    tuple of str or None
        None where only fetching it would tell.

    Raises
    ------
    InvalidFieldError
        If it is not base64.
    NotFoundError
        If the caller has no such object.
    TooLargeError
        If it has more bytes than allowed inline.
    """
    if source.image is not None:
        data = _decode_inline(source.image, ImageSourceSettings.load().inline_image_max_bytes)
        # S3's entity tag of an object that was sent at once (API reference, Object: ETag).
        return (f'"{hashlib.md5(data, usedforsecurity=False).hexdigest()}"',)
    if source.image_key is None:
        return None
    return identify_stored(source.image_key, caller, "image_key")


def identify_stored(key: str, caller: Caller, field: str) -> tuple[str, ...]:
    """Name one of the caller's objects by its content, for a cache's key.

    Parameters
    ----------
    key : str
    caller : Caller
    field : str
        Named in errors.

    Raises
    ------
    NotFoundError
        If the caller has no such object.
    """
    require_own(caller, key, field)
    tag = storage.get_tag(key)
    if tag is None:
        raise missing(key, field)
    return (tag,)


def load_stored(key: str, caller: Caller, field: str) -> bytes:
    """Read an image that is one of the caller's objects.

    Parameters
    ----------
    key : str
    caller : Caller
    field : str
        Named in errors.

    Raises
    ------
    NotFoundError
        If the caller has no such object.
    TooLargeError
        If it has more bytes than allowed.
    """
    limit = ImageSourceSettings.load().stored_image_max_bytes
    require_own(caller, key, field)
    found = storage.read(key, limit)
    if found is None:
        raise missing(key, field)
    data, size = found
    if size > limit:
        raise TooLargeError(
            f"a stored image may have {limit:,} bytes; got {size:,}", code="IMAGE_TOO_LARGE", field=field
        )
    return data


def _decode_inline(text: str, limit: int) -> bytes:
    if text.startswith("data:"):
        head, comma, text = text.partition(",")
        if not comma or not head.endswith(";base64"):
            raise InvalidFieldError(
                "a data URL must be data:<type>;base64,<data>", code="INVALID_BASE64", field="image"
            )
    size = len(text) * 3 // 4 - text[-2:].count("=")
    if size > limit:
        raise TooLargeError(
            f"an inline image may have {limit:,} bytes; got {size:,}; "
            "send it through POST /uploads and name it as image_key",
            code="IMAGE_TOO_LARGE",
            field="image",
        )
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidFieldError(f"not base64: {error}", code="INVALID_BASE64", field="image") from error
