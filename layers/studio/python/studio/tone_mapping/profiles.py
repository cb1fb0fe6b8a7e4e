"""ICC profiles (ICC.1:2022): which of those embedded can be used, and new ones of spaces that a file only names."""

import math
import struct
from typing import NamedTuple

# XYZ of red, green and blue, adapted to D50 by Bradford's matrix (ICC.1:2022, annex E), by the numbers that ITU-T H.273
# has for primaries, in table 2: BT.709 (sRGB), BT.601's two kinds, BT.2020 and Display P3.
_COLORANTS = {
    1: ((0.43604, 0.22248, 0.01392), (0.38511, 0.71691, 0.09707), (0.14305, 0.06061, 0.71391)),
    5: ((0.45525, 0.23228, 0.01453), (0.3676, 0.70782, 0.10487), (0.14136, 0.0599, 0.70549)),
    6: ((0.41629, 0.22168, 0.01365), (0.3932, 0.70328, 0.09133), (0.15471, 0.07504, 0.71993)),
    7: ((0.41629, 0.22168, 0.01365), (0.3932, 0.70328, 0.09133), (0.15471, 0.07504, 0.71993)),
    9: ((0.67348, 0.27904, -0.00193), (0.16567, 0.67534, 0.02998), (0.12505, 0.04561, 0.79685)),
    12: ((0.51512, 0.24119, -0.00105), (0.29198, 0.69224, 0.04188), (0.1571, 0.06657, 0.78407)),
}
_D65_TO_D50 = (1.04789, 0.02292, -0.05022, 0.02958, 0.99048, -0.01708, -0.00925, 0.01507, 0.75168)
# Function type and parameters of a parametric curve: sRGB's, and those of the transfers that are a plain gamma.
_SRGB_CURVE = (3, 2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
_CURVES = {4: (0, 2.2), 5: (0, 2.8)}
_ADOBE_COLORANTS = ((0.60974, 0.31111, 0.01947), (0.20527, 0.62568, 0.06087), (0.14919, 0.06321, 0.74456))
_ADOBE_CURVE = (0, 563 / 256)
_SRGB = (0.64, 0.33, 0.3, 0.6, 0.15, 0.06)  # x and y of red, green and blue
_SAME_GAMMA = 0.15  # from 2.2, which stands for sRGB's curve
# Those that are wider than sRGB's, and their colorants.
_WIDE = {
    (0.64, 0.33, 0.21, 0.71, 0.15, 0.06): _ADOBE_COLORANTS,
    (0.68, 0.32, 0.265, 0.69, 0.15, 0.06): _COLORANTS[12],
    (0.708, 0.292, 0.17, 0.797, 0.131, 0.046): _COLORANTS[9],
}
# Numbers of H.273, tables 2 and 3, that say nothing, or what sRGB is. Pictures with a curve for video are shown by
# sRGB's, too, as browsers do.
_PLAIN_PRIMARIES, _PLAIN_TRANSFERS = (0, 1, 2, 3), (0, 1, 2, 3, 6, 13, 14, 15)
_LINEAR = 3 / 4, 4 / 3  # of these exponents values are light, not what a screen is sent: Macintoshes once had 1.8
_MOST_TAGS, _LONGEST_CURVE = 100, 12 + 2 * 65536
_TABLES = (b"A2B0", b"A2B1", b"A2B2", b"D2B0", b"D2B1", b"D2B2", b"D2B3")  # which count more than curves and colorants


class LightProfile(NamedTuple):
    """What takes values that are light to those for display.

    Attributes
    ----------
    grey : bytes
        The ICC profile of grey with the same curve.
    display : bytes | None
        That of the same colours with sRGB's curve; None where it would be sRGB.
    """

    grey: bytes
    display: bytes | None


def usable_profile(profile: bytes | None) -> bytes | None:
    """Return an ICC profile if it describes RGB pixels and is whole, else None (ICC.1:2022, 7.2).

    Parameters
    ----------
    profile : bytes | None
        As embedded in the input.

    Returns
    -------
    bytes | None
        Cut to the size that it says it has.
    """
    if profile is None or len(profile) < 128:
        return None
    size = int.from_bytes(profile[:4], "big")
    is_rgb = profile[16:20] == b"RGB " and profile[36:40] == b"acsp"
    return profile[:size] if is_rgb and size <= len(profile) else None


def light_profile(profile: bytes | None) -> LightProfile | None:
    """Tell whether RGB values are light, as those that raw converters export for other programs.

    Parameters
    ----------
    profile : bytes | None
        As embedded in the input.

    Returns
    -------
    LightProfile | None
        None of values for display, and without a usable profile of curves and colorants.
    """
    profile = usable_profile(profile)
    if profile is None:
        return None
    try:
        tags = _tags(profile)
        curve = tags[b"rTRC"]
        is_light = curve == tags[b"gTRC"] == tags[b"bTRC"] and _LINEAR[0] < _exponent(curve) < _LINEAR[1]
        if not is_light or any(name in tags for name in _TABLES):
            return None
        red, green, blue = (struct.unpack_from(">3i", tags[name], 8) for name in (b"rXYZ", b"gXYZ", b"bXYZ"))
    except (KeyError, struct.error):
        return None
    colorants = tuple(tuple(value / 65536 for value in colorant) for colorant in (red, green, blue))
    plain = all(
        abs(value - known) < 0.002
        for colorant, srgb in zip(colorants, _COLORANTS[1], strict=True)
        for value, known in zip(colorant, srgb, strict=True)
    )
    display = None if plain else _profile(_curve(_SRGB_CURVE), colorants)
    return LightProfile(_profile(curve), display)


def _tags(profile: bytes) -> dict[bytes, bytes]:
    """Return a profile's tags, each cut to the longest curve: hostile ones may all be as long as the profile."""
    (count,) = struct.unpack_from(">I", profile, 128)
    entries = struct.iter_unpack(">4sII", profile[132 : 132 + 12 * min(count, _MOST_TAGS)])
    return {name: profile[at : at + min(size, _LONGEST_CURVE)] for name, at, size in entries}


def _exponent(curve: bytes) -> float:
    """Find the exponent from values to light, of a table that of its middle (ICC.1:2022, 10.6 and 10.18)."""
    kind, count, first = struct.unpack_from(">4s4xIH", curve.ljust(14, b"\0"))
    if kind == b"para":
        return float(struct.unpack_from(">i", curve, 12)[0] / 65536)
    if kind != b"curv":
        raise KeyError("no curve")
    if count <= 1:
        return float(first / 256) if count else 1.0
    table = struct.unpack_from(f">{count}H", curve, 12)
    middle = count // 2
    return math.log(max(table[middle], 1) / 65535) / math.log(middle / (count - 1)) if middle < count - 1 else 1.0


def cicp_profile(primaries: int, transfer: int) -> bytes | None:
    """Return the profile that says the same as CICP.

    Parameters
    ----------
    primaries, transfer : int
        Colour primaries and transfer characteristics, by their numbers in ITU-T H.273, tables 2 and 3.

    Returns
    -------
    bytes | None
        An ICC profile; None where it would be sRGB.

    Raises
    ------
    ValueError
        No profile can say that, as HDR, or it is not known here.
    """
    if primaries in _PLAIN_PRIMARIES:
        primaries = 1
    if primaries not in _COLORANTS or transfer not in (*_PLAIN_TRANSFERS, *_CURVES):
        raise ValueError("not a colour space for display")
    if primaries == 1 and transfer in _PLAIN_TRANSFERS:
        return None
    return _profile(_curve(_CURVES.get(transfer, _SRGB_CURVE)), _COLORANTS[primaries])


def told_profile(primaries: tuple[float, ...], gamma: float) -> bytes | None:
    """Return the profile of Adobe RGB's, Display P3's, BT.2020's or sRGB's colours, the last where none are told.

    Parameters
    ----------
    primaries : tuple of float
        CIE 1931 x and y of red, green and blue; each may be off by 0.002. Empty where they are not told.
    gamma : float
        Exponent from values to light.

    Returns
    -------
    bytes | None
        An ICC profile; None for colours that are not known here, and where it would be sRGB, more or less.
    """
    if _is_told(primaries or _SRGB, _SRGB):
        return _profile(_curve((0, gamma)), _COLORANTS[1]) if abs(gamma - 2.2) > _SAME_GAMMA else None
    for known, colorants in _WIDE.items():
        if _is_told(primaries, known):
            return _profile(_curve((0, gamma)), colorants)
    return None


def _is_told(primaries: tuple[float, ...], known: tuple[float, ...]) -> bool:
    return len(primaries) == len(known) and all(abs(a - b) < 0.002 for a, b in zip(primaries, known, strict=True))


def adobe_rgb_profile() -> bytes:
    """Return the profile of Adobe RGB (1998).

    Returns
    -------
    bytes
        An ICC profile.
    """
    return _profile(_curve(_ADOBE_CURVE), _ADOBE_COLORANTS)


def grey_profile() -> bytes:
    """Return the profile of the grey that has sRGB's curve.

    Returns
    -------
    bytes
        An ICC profile.
    """
    return _profile(_curve(_SRGB_CURVE))


def _fixed(*values: float) -> bytes:
    return struct.pack(f">{len(values)}i", *(round(value * 65536) for value in values))


def _curve(parameters: tuple[float, ...]) -> bytes:
    return struct.pack(">4s4xHxx", b"para", int(parameters[0])) + _fixed(*parameters[1:])


def _profile(curve: bytes, colorants: tuple[tuple[float, ...], ...] | None = None) -> bytes:
    """Build the profile (ICC.1:2022) of a display with sRGB's white; of grey, where there are no colorants."""

    def text(value: str) -> bytes:
        return struct.pack(">4s4xII4sII", b"mluc", 1, 12, b"enUS", 2 * len(value), 28) + value.encode("utf-16-be")

    white = _fixed(0.9642, 1, 0.8249)
    tags = {
        b"desc": text("RGB as told by the image" if colorants else "Grey with sRGB's curve"),
        b"cprt": text("No copyright"),
        b"wtpt": b"XYZ \0\0\0\0" + white,
        b"chad": b"sf32\0\0\0\0" + _fixed(*_D65_TO_D50),
    }
    if colorants is None:
        tags[b"kTRC"] = curve
    for name, colorant in zip("rgb", colorants or (), strict=bool(colorants)):
        tags[f"{name}XYZ".encode()] = b"XYZ \0\0\0\0" + _fixed(*colorant)
        tags[f"{name}TRC".encode()] = curve
    table, body = struct.pack(">I", len(tags)), b""
    for tag, value in tags.items():
        table += struct.pack(">4sII", tag, 128 + 4 + 12 * len(tags) + len(body), len(value))
        body += value.ljust(-(-len(value) // 4) * 4, b"\0")
    head = (
        struct.pack(">I4xI", 128 + len(table) + len(body), 0x04400000)
        + b"mntr"
        + (b"RGB " if colorants else b"GRAY")
        + b"XYZ "
    )
    head += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + white
    return head.ljust(128, b"\0") + table + body
