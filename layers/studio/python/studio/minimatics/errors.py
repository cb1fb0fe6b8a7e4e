"""What can be wrong with what a project names; the project itself is checked by its model."""


class MediaError(Exception):
    """A picture, a recording or a text that no film can be made of, through no fault of ours.

    Parameters
    ----------
    field : str
        Path in the project, such as ``shots.3.image_key``.
    message : str
        For people: what is wrong, and the key.
    """

    code = "MEDIA_INVALID"

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.message = message
