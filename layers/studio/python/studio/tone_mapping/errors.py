"""What can be wrong with a picture or a look that somebody sends; the HTTP layer turns each class into one status."""

_ACCEPTED = "JPEG, PNG, WebP, AVIF, TIFF, OpenEXR and Radiance HDR"


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
    """An accepted format, but animated, truncated or corrupt (HTTP 422)."""


class OutputError(InvalidImageError):
    """An output that this picture cannot have (HTTP 422).

    Parameters
    ----------
    field : str
        Of `Output`, that asks for it.
    code, message : str
        As of `ImageError`.
    """

    def __init__(self, field: str, code: str, message: str) -> None:
        super().__init__(code, message)
        self.field = field


class PresetFileError(Exception):
    """A look's file (.cube, .3dl, .xmp) that cannot be read, through no fault of ours (HTTP 422).

    Parameters
    ----------
    message : str
        For people: what was expected, what was given.
    line : int | None
        Where, counted from 1; the message then starts with it.
    column : int | None
        Where in that line, counted from 1.
    """

    code = "PRESET_FILE_INVALID"

    def __init__(self, message: str, line: int | None = None, column: int | None = None) -> None:
        if line is not None:
            place = f"line {line}" if column is None else f"line {line}, column {column}"
            message = f"{place}: {message}"
        super().__init__(message)
        self.message = message
        self.line = line
        self.column = column


class PresetFileTooLargeError(PresetFileError):
    """More text than such a file needs (HTTP 413)."""

    code = "PRESET_FILE_TOO_LARGE"


def unsupported(what: str) -> UnsupportedImageError:
    """Make the error for a file of a kind that is not read at all.

    Parameters
    ----------
    what : str
        What the file is.

    Returns
    -------
    UnsupportedImageError
        ``UNSUPPORTED_FORMAT``; it tells the kinds that are accepted.
    """
    return UnsupportedImageError("UNSUPPORTED_FORMAT", f"The file is {what}. Accepted are {_ACCEPTED}.")
