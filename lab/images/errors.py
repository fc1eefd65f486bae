"""The one error of the image builders."""

from lab.errors import LabError


class ImageError(LabError):
    """An image could not be built; the text is one sentence that names the next step."""
