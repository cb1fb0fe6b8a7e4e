"""What can be wrong with a picture that somebody sends; the HTTP layer turns each class into one status."""


class ImageError(Exception):
    """A picture that cannot be graded, through no fault of ours.

    Parameters
    ----------
    code : str
        Stable name for programs, such as ``IMAGE_TRUNCATED``.
    message : str
        For people: what is wrong, the limit, what was given.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class UnsupportedImageError(ImageError):
    """Not one of the accepted formats or colour modes (HTTP 415)."""


class ImageTooLargeError(ImageError):
    """More pixels, or a longer side, than the limits allow (HTTP 413)."""


class InvalidImageError(ImageError):
    """An accepted format, but animated, truncated or corrupt, or an output it cannot have (HTTP 422)."""
