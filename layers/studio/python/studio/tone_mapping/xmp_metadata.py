"""XMP for a graded picture: what was said of the one that came, less what is true of that file only.

Import it where there is XMP: it loads an XML parser. Presets of Lightroom are read in `xmp`.
"""

from xml.parsers import expat

from studio.tone_mapping.xmp import LONGEST_NAMESPACE
from studio.tone_mapping.xmp_iptc import MOST_BYTES

_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_XML = "http://www.w3.org/XML/1998/namespace"
_TIFF = "http://ns.adobe.com/tiff/1.0/"
_PANORAMA = "http://ns.google.com/photos/1.0/panorama/"

# Of a namespace that begins so, nothing is kept: settings that would be applied to the graded picture again (Camera
# Raw's, Apple's), a reference to XMP in other segments, previews, and what describes pictures, films and gain maps
# beside or behind the picture.
_UNWANTED_NAMESPACES = (
    "http://ns.adobe.com/camera-raw",
    "http://ns.apple.com/adjustment-settings/",
    "http://ns.adobe.com/xmp/note/",
    "http://ns.adobe.com/xap/1.0/g/img/",
    "http://ns.adobe.com/hdr-gain-map/",
    "http://ns.apple.com/HDRGainMap/",
    "http://ns.google.com/photos/",
)
# What the new file itself tells, and may tell otherwise; previews; the name of what was saved the last time.
_UNWANTED = {
    ("http://ns.adobe.com/exif/1.0/", "PixelXDimension"),
    ("http://ns.adobe.com/exif/1.0/", "PixelYDimension"),
    ("http://ns.adobe.com/exif/1.0/", "ColorSpace"),
    ("http://ns.adobe.com/exif/1.0/", "ComponentsConfiguration"),
    ("http://ns.adobe.com/exif/1.0/", "CompressedBitsPerPixel"),
    ("http://ns.adobe.com/exif/1.0/", "NativeDigest"),
    ("http://ns.adobe.com/photoshop/1.0/", "ICCProfile"),
    ("http://ns.adobe.com/photoshop/1.0/", "ColorMode"),
    ("http://ns.adobe.com/xap/1.0/", "Thumbnails"),
    ("http://ns.adobe.com/xap/1.0/mm/", "InstanceID"),
    ("http://purl.org/dc/elements/1.1/", "format"),
}
_TIFF_TEXTS = ("ImageDescription", "Make", "Model", "Software", "DateTime", "Artist", "Copyright")
# Where in the picture something is: faces, mostly.
_PLACES = {
    ("http://www.metadataworkinggroup.com/schemas/regions/", "Regions"),
    ("http://ns.microsoft.com/photo/1.2/", "RegionInfo"),
    ("http://iptc.org/std/Iptc4xmpExt/2008-02-29/", "ImageRegion"),
}
_IN_TEXT = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;"})
_IN_ATTRIBUTES = _IN_TEXT | str.maketrans({'"': "&quot;", "\n": "&#10;", "\t": "&#9;"})


def graded_xmp(xmp: bytes, *, is_same_frame: bool) -> bytes | None:
    """Return XMP that is true of the graded picture.

    The orientation becomes 1. Settings of Camera Raw go, for Lightroom would apply them once more; so do previews,
    sizes, colour spaces and file formats. Everything else is kept: captions, keywords, ratings, rights, positions.

    Parameters
    ----------
    xmp : bytes
        UTF-8, with or without the packet's wrapper.
    is_same_frame : bool
        Whether each pixel is where it was. Otherwise, panoramas' sizes and the places of faces go, too.

    Returns
    -------
    bytes | None
        UTF-8, in a packet's wrapper; None where it is damaged, has a DOCTYPE, is too long, or nothing is left.

    References
    ----------
    Adobe: XMP Specification Part 1, 2012, 7 (RDF/XML); Part 2, "EXIF schemas", "Camera Raw namespace".
    Metadata Working Group: Guidelines for Handling Image Metadata 2.0, 5.9 (regions).
    """
    writer = _Writer(is_same_frame=is_same_frame)
    try:
        writer.parser.Parse(xmp.rstrip(b"\0"), True)
    except (expat.ExpatError, ValueError):
        return None
    if not writer.has_rdf or not writer.has_properties:
        return None
    packet = "".join(['<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>', *writer.parts, '<?xpacket end="w"?>'])
    graded = packet.encode()
    return graded if len(graded) <= MOST_BYTES else None


class _Writer:
    """Writes again what it reads, element by element: nothing here recurses, and all takes time by the length only."""

    def __init__(self, *, is_same_frame: bool) -> None:
        self.parts: list[str] = []
        self.has_rdf = self.has_properties = False
        self._is_same_frame = is_same_frame
        self._declarations: list[str] = []  # of the element that comes next
        self._depth_left_out = 0  # elements around, from the one that is left out
        self.parser = expat.ParserCreate("utf-8", namespace_separator=" ")
        self.parser.namespace_prefixes = True
        self.parser.buffer_text = True
        self.parser.StartDoctypeDeclHandler = self._refuse_doctype
        self.parser.StartNamespaceDeclHandler = self._declare
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text

    def _refuse_doctype(self, *_: object) -> None:
        raise ValueError("what makes XML dangerous, entities of one's own, takes a DOCTYPE")

    def _declare(self, prefix: str | None, namespace: str | None) -> None:
        namespace = namespace or ""
        if len(namespace) > LONGEST_NAMESPACE:
            raise ValueError("a namespace is too long")
        if not self._is_unwanted(namespace, ""):
            name = f"xmlns:{prefix}" if prefix else "xmlns"
            self._declarations.append(f' {name}="{namespace.translate(_IN_ATTRIBUTES)}"')

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        declarations, self._declarations = "".join(self._declarations), []
        namespace, name, written = _parsed(tag)
        if self._depth_left_out or self._is_unwanted(namespace, name):
            self._depth_left_out += 1
            return
        self._note(namespace, name)
        self.parts.append(f"<{written}{declarations}")
        if (namespace, name) == (_TIFF, "Orientation"):
            self.parts.append(f">1</{written}>")
            self._depth_left_out = 1
            return
        for attribute, value in attributes.items():
            namespace, name, written = _parsed(attribute)
            if not self._is_unwanted(namespace, name):
                self._note(namespace, name)
                shown = "1" if (namespace, name) == (_TIFF, "Orientation") else value.translate(_IN_ATTRIBUTES)
                self.parts.append(f' {written}="{shown}"')
        self.parts.append(">")

    def _end(self, tag: str) -> None:
        if self._depth_left_out:
            self._depth_left_out -= 1
        elif self.parts[-1] == ">":
            self.parts[-1] = "/>"
        else:
            self.parts.append(f"</{_parsed(tag)[2]}>")

    def _text(self, text: str) -> None:
        if not self._depth_left_out:
            self.parts.append(text.translate(_IN_TEXT))

    def _note(self, namespace: str, name: str) -> None:
        self.has_rdf |= (namespace, name) == (_RDF, "RDF")
        self.has_properties |= namespace not in ("", "adobe:ns:meta/", _RDF, _XML)

    def _is_unwanted(self, namespace: str, name: str) -> bool:
        """Tell whether a property is left out; without a name, all of its namespace."""
        if namespace == _PANORAMA:
            return not self._is_same_frame
        if namespace.startswith(_UNWANTED_NAMESPACES):
            return True
        if namespace == _TIFF:
            return name not in ("", "Orientation", *_TIFF_TEXTS)
        return (namespace, name) in _UNWANTED or (not self._is_same_frame and (namespace, name) in _PLACES)


def _parsed(name: str) -> tuple[str, str, str]:
    """Return the namespace, the name in it, and the name as it is written, of what expat joined by spaces."""
    match name.split(" "):
        case [local]:
            return "", local, local
        case [namespace, local]:
            return namespace, local, local
        case [namespace, local, prefix]:
            return namespace, local, f"{prefix}:{local}"
    raise ValueError("a namespace has spaces")
