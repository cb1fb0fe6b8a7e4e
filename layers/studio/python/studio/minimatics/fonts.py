"""The fonts that captions can have: Google's Noto, from packages, under the SIL Open Font License."""

from functools import lru_cache
from importlib.resources import as_file, files

from PIL import ImageFont

# A style's font -> its package and the name of its files, of which one may be italic.
_FAMILIES = {
    "noto_sans": ("fontpkg_noto_sans", "NotoSans"),
    "noto_serif": ("fontpkg_noto_serif", "NotoSerif"),
    "noto_sans_arabic": ("fontpkg_noto_sans_arabic", "NotoSansArabic"),
}
_REGULAR, _BOLD = 400, 700


@lru_cache(maxsize=64)
def load_font(family: str, size: int, bold: bool = False, italic: bool = False) -> ImageFont.FreeTypeFont:
    """Open a font; one that has no italic stays upright.

    Parameters
    ----------
    family : str
        As `CaptionStyle.font` has it.
    size : int
        Pixels an em.
    bold, italic : bool
    """
    package, name = _FAMILIES[family]
    folder = files(package) / "files"
    file = folder / f"{name}-Italic[wdth,wght].ttf"
    if not italic or not file.is_file():
        file = folder / f"{name}[wdth,wght].ttf"
    # Raqm shapes what FreeType alone cannot: Arabic joins its letters, Devanagari reorders them.
    with as_file(file) as path:
        font = ImageFont.truetype(path, size, layout_engine=ImageFont.Layout.RAQM)
    weight = _BOLD if bold else _REGULAR
    axes = font.get_variation_axes()
    font.set_variation_by_axes([weight if axis["name"] == b"Weight" else axis["default"] or 0 for axis in axes])
    return font


def missing_characters(text: str, family: str) -> str:
    """Tell which characters of a text a font has no picture of, each once, in the text's order.

    Parameters
    ----------
    text : str
    family : str
        As `CaptionStyle.font` has it.
    """
    font = load_font(family, 32)
    nothing = bytes(font.getmask("\U0010ffff"))
    shown = (character for character in dict.fromkeys(text) if not character.isspace())
    return "".join(character for character in shown if bytes(font.getmask(character)) == nothing)
