"""Formats of pictures and of looks' files, by the names that requests and answers have for them."""

from typing import Literal

Format = Literal["jpeg", "png", "webp", "avif", "tiff"]
SceneFormat = Literal["exr", "hdr"]  # linear light; read, never written
InputFormat = Format | SceneFormat
PresetFormat = Literal["cube", "3dl", "xmp"]
