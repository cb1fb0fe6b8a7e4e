"""Presets of Lightroom and Camera Raw (.xmp) as sliders."""

import math
import re
from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple
from xml.parsers import expat

from studio.tone_mapping.adjustments import Adjustments, CurvePoints, Hsl, HueAdjustment, ToneCurve
from studio.tone_mapping.errors import PresetFileError, PresetFileTooLargeError

MAX_CHARACTERS = 1_000_000
LONGEST_NAMESPACE = 200  # characters; each name comes with it, and a long one a hundred thousand times

_CRS = "http://ns.adobe.com/camera-raw-settings/1.0/ "
_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns# "
_DC_TITLE = "http://purl.org/dc/elements/1.1/ title"

_SLIDERS = {
    "Exposure2012": "exposure",
    "Contrast2012": "contrast",
    "Highlights2012": "highlights",
    "Shadows2012": "shadows",
    "Whites2012": "whites",
    "Blacks2012": "blacks",
    "Vibrance": "vibrance",
    "Saturation": "saturation",
    "Clarity2012": "clarity",
    "Texture": "texture",
    "Dehaze": "dehaze",
}
_WHITE_BALANCE = {
    "Temperature": "temperature_kelvin",
    "IncrementalTemperature": "temperature",
    "Tint": "tint",
    "IncrementalTint": "tint",
}
_TINT_AS_SHOT = 10  # of D65 to Adobe, which counts from the Planckian locus: "Cloudy" is 6500 K and +10
_RANGES = {"exposure": (-5.0, 5.0), "temperature_kelvin": (2000.0, 50_000.0)}
_CURVES = {
    "ToneCurvePV2012": "rgb",
    "ToneCurvePV2012Red": "red",
    "ToneCurvePV2012Green": "green",
    "ToneCurvePV2012Blue": "blue",
}
_HUES = [hue.name for hue in fields(Hsl)]
_HSL = {
    f"{aspect}Adjustment{hue.capitalize()}": (hue, aspect.lower())
    for hue in _HUES
    for aspect in ("Hue", "Saturation", "Luminance")
}
_GREY_MIXER = {f"GrayMixer{hue.capitalize()}": (hue, "luminance") for hue in _HUES}
_HANDLED = {"Name", "WhiteBalance", "ConvertToGrayscale", *_SLIDERS, *_WHITE_BALANCE, *_CURVES, *_HSL, *_GREY_MIXER}

# What says nothing about the look: about the file, or of no effect without another setting that is listed.
_BOOKKEEPING = re.compile(
    r"Version|ProcessVersion|CompatibleVersion|Converter|PresetType|Cluster|UUID|Supports\w+|RequiresRGBTables|ShowIn\w+"
    r"|CameraModelRestriction|CameraConfig|Copyright|ContactInfo|ShortName|SortName|Group|Description|HasSettings|HasCrop"
    r"|AlreadyApplied|RawFileName|ToneCurveName(2012)?|CameraProfileDigest|LensProfile(?!Enable)\w+"
    r"|Table_\w+|Upright\w+|AutoWhiteVersion|AutoToneDigest\w*|OverrideLookVignette|CropConstrain\w+|GrainSeed|HDRMaxValue"
    r"|ColorGrade\w*Hue|ColorGradeBlending|SplitToning\w+Hue|SplitToningBalance|Parametric\w+Split"
    r"|Sharpen\w+|LuminanceNoiseReduction\w+|ColorNoiseReduction(Detail|Smoothness)|Grain(Size|Frequency)"
    r"|PostCropVignette(?!Amount)\w+|VignetteMidpoint|Defringe\w+Hue(Lo|Hi)|ColorVariance"
)
# What Lightroom writes where nothing was touched, if not 0: of today's process, then of the one before 2012.
_AT_REST = {
    "Sharpness": (25, 40),
    "ColorNoiseReduction": (25,),
    "PerspectiveScale": (100,),
    "CurveRefineSaturation": (100,),
    "CropBottom": (1,),
    "CropRight": (1,),
    "Brightness": (50,),
    "Contrast": (25,),
    "Shadows": (5,),
}
# The curve of raw pictures before 2012.
_MEDIUM_CONTRAST = ["0, 0", "32, 22", "64, 56", "128, 128", "192, 196", "255, 255"]
# Of before 2012, also written beside today's, which then count: {old name: today's}.
_OLD_CURVES = {name.replace("PV2012", ""): name for name in _CURVES}
_WORDS_AT_REST = {"", "false", "none", "linear", "adobe color", "adobe standard"}


class XmpPreset(NamedTuple):
    """What a preset file holds.

    Parameters
    ----------
    title : str
        The preset's name, empty where it has none.
    adjustments : Adjustments
        What could be taken over.
    unmapped : tuple of str
        ``Name=value`` of every other setting that changes a picture, and of those that had to be clamped.
    """

    title: str
    adjustments: Adjustments
    unmapped: tuple[str, ...]


@dataclass
class _Setting:
    line: int
    column: int
    parts: list[str] = field(default_factory=list)
    items: list[list[str]] = field(default_factory=list)
    # Of a structure, such as a profile: its crs:Name, where it has one, and its crs:Active.
    name: str | None = None
    is_structure: bool = False
    is_active: bool = True

    @property
    def text(self) -> str:
        return "".join(self.parts).strip()

    @property
    def texts(self) -> list[str]:
        return ["".join(item).strip() for item in self.items]


_Settings = dict[str, _Setting]


def read_xmp(text: str, max_characters: int = MAX_CHARACTERS) -> XmpPreset:
    """Read a preset of Lightroom or Camera Raw, process version 2012 and later.

    Most sliders have our names and ranges, and keep their numbers. Of the others:

    - ``Temperature`` is kelvin and becomes `temperature_kelvin`, to which a picture as shot is 6504 K;
      ``IncrementalTemperature`` and ``IncrementalTint``, which Lightroom uses for pictures that are not raw, win over
      ``Temperature`` and ``Tint`` where both are set. With ``WhiteBalance="As Shot"`` none of them means anything, nor
      with ``"Auto"``, which every picture has its own of.
    - ``Tint`` (-150..150) has our unit, up to ±100: a distance of 1/3000 from the Planckian locus in CIE 1960 UCS
      [1]_, which at D65 makes 50 units 0.42 EV of green against red and blue; 50 of ours are 0.40 EV. Beside a
      ``Temperature`` it says what the light is, and a picture as shot, D65, is +10 to it.
    - ``ToneCurvePV2012`` and its channels: points 0..255 become 0..1.
    - ``ConvertToGrayscale`` becomes saturation -100, and its ``GrayMixer`` the luminance of hues; what only acts on
      colour is left out, and the curves of single channels, which tone grey pictures there, are not taken over.

    Parameters
    ----------
    text : str
        The file.
    max_characters : int
        Length that the file may have.

    Returns
    -------
    XmpPreset

    Raises
    ------
    PresetFileTooLargeError
        The file is too long.
    PresetFileError
        It is not XML, has a DOCTYPE or a long namespace, or is no such preset; a setting is malformed. Line
        and column are given.

    References
    ----------
    Adobe: XMP Specification Part 2, "Camera Raw namespace".

    .. [1] Adobe DNG SDK 1.7, dng_temperature.cpp (kTintScale), after Robertson 1968.
    """
    if len(text) > max_characters:
        raise PresetFileTooLargeError(f"a preset may have {max_characters} characters, got {len(text)}")
    title, settings = _read_settings(text)
    if not settings:
        raise PresetFileError("no preset: the file has no Camera Raw settings (crs:) in an rdf:Description")

    unmapped: list[str] = []
    grey = "ConvertToGrayscale" in settings and settings["ConvertToGrayscale"].text.lower() == "true"
    values = _sliders(settings, unmapped)
    values["tone_curve"] = _curves(settings, unmapped, is_grey=grey)
    if grey:
        values |= {"saturation": -100, "vibrance": 0}
    values["hsl"] = _hsl(settings, _GREY_MIXER if grey else _HSL, unmapped)
    for name, setting in settings.items():
        if _OLD_CURVES.get(name) in settings:
            continue
        if name not in _HANDLED and not _BOOKKEEPING.fullmatch(name) and not _is_at_rest(name, setting):
            unmapped.append(_shown(name, setting))
    return XmpPreset(title, Adjustments(**values), tuple(unmapped))


def _sliders(settings: _Settings, unmapped: list[str]) -> dict[str, Any]:
    white_balance = settings["WhiteBalance"].text if "WhiteBalance" in settings else "Custom"
    names = dict(_SLIDERS)
    if white_balance == "Auto":
        unmapped.append(_shown("WhiteBalance", settings["WhiteBalance"]))
    elif white_balance != "As Shot":
        names |= _WHITE_BALANCE
        for absolute in ("Temperature", "Tint"):
            incremental = settings.get(f"Incremental{absolute}")
            if incremental and _number(f"Incremental{absolute}", incremental) and absolute in settings:
                unmapped.append(_shown(absolute, settings[absolute]))
                del names[absolute]
        if white_balance != "Custom" and not any(name in settings for name in _WHITE_BALANCE):
            unmapped.append(_shown("WhiteBalance", settings["WhiteBalance"]))

    values: dict[str, Any] = {}
    for name, slider in names.items():
        if name in settings:
            shift = _TINT_AS_SHOT if name == "Tint" and "temperature_kelvin" in values else 0
            low, high = _RANGES.get(slider, (-100.0, 100.0))
            value = _clamped(name, settings[name], (low + shift, high + shift), unmapped) - shift
            if value:
                values[slider] = value
    return values


def _hsl(settings: _Settings, names: dict[str, tuple[str, str]], unmapped: list[str]) -> Hsl:
    values: dict[str, dict[str, float]] = {}
    for name, (hue, aspect) in names.items():
        if name in settings:
            value = _clamped(name, settings[name], (-100.0, 100.0), unmapped)
            if value:
                values.setdefault(hue, {})[aspect] = value
    return Hsl(**{hue: HueAdjustment(**sliders) for hue, sliders in values.items()})


def _curves(settings: _Settings, unmapped: list[str], *, is_grey: bool) -> ToneCurve:
    values: dict[str, CurvePoints] = {}
    for name, channel in _CURVES.items():
        if name not in settings:
            continue
        given = [_point(name, settings[name], text) for text in settings[name].texts]
        points = [(min(max(x, 0.0), 1.0), min(max(y, 0.0), 1.0)) for x, y in given]
        try:
            curve = ToneCurve(**{channel: tuple(points)})
        except ValueError:  # too many points, or two above one another
            unmapped.append(_shown(name, settings[name]))
            continue
        if points != given:
            unmapped.append(f"{_shown(name, settings[name])} (clamped to 0..255)")
        if curve != ToneCurve():
            if is_grey and channel != "rgb":  # there it tones the grey picture, here it would come before the grey
                unmapped.append(_shown(name, settings[name]))
                continue
            values[channel] = tuple(points)
    return ToneCurve(**values)


def _point(name: str, setting: _Setting, text: str) -> tuple[float, float]:
    try:
        x, y = (float(word) / 255 for word in text.split(","))
    except ValueError:
        x = y = math.nan
    if not (math.isfinite(x) and math.isfinite(y)):
        expected = f"{name} expects points such as 64, 56"
        raise PresetFileError(f'{expected}, got "{_cut(text)}"', setting.line, setting.column)
    return x, y


def _number(name: str, setting: _Setting) -> float:
    try:
        value = float(setting.text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise PresetFileError(f'{name} must be a number, got "{_cut(setting.text)}"', setting.line, setting.column)
    return value


def _clamped(name: str, setting: _Setting, limits: tuple[float, float], unmapped: list[str]) -> float:
    low, high = limits
    value = _number(name, setting)
    clamped = min(max(value, low), high)
    if clamped != value:
        unmapped.append(f"{_shown(name, setting)} (clamped to {clamped:g})")
    return clamped


def _is_at_rest(name: str, setting: _Setting) -> bool:
    if setting.items:
        return _is_list_at_rest(name, setting.texts)
    if not setting.is_active:
        return True
    text = setting.name if setting.is_structure else setting.text
    if text is None:
        return False
    try:
        return float(text) in (0, *_AT_REST.get(name, ()))
    except ValueError:
        return text.lower() in _WORDS_AT_REST


def _is_list_at_rest(name: str, texts: list[str]) -> bool:
    items = [re.split("[ ,]+", text) for text in texts]
    if name == "PointColors":  # no colour picked
        return items == [["-1.000000"] * len(items[0])]
    return name in _OLD_CURVES and (texts == _MEDIUM_CONTRAST or all(len(set(item)) == 1 for item in items))


def _shown(name: str, setting: _Setting) -> str:
    """Return ``Name=value``: of a structure its name, of a list that is no curve the number of its items."""
    if setting.items:
        value = "; ".join(setting.texts) if name in _CURVES else f"({len(setting.items)})"
    else:
        value = setting.name or setting.text
    return f"{name}={_cut(value)}" if value else name


def _cut(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:60]}…"


def _read_settings(text: str) -> tuple[str, _Settings]:
    """Return the title and {name without its namespace: setting}."""
    reader = _Reader()
    try:
        reader.parser.Parse(text, True)
    except expat.ExpatError as error:
        reason = expat.ErrorString(error.code)
        raise PresetFileError(f"not well-formed XML: {reason}", error.lineno, error.offset + 1) from error
    except UnicodeEncodeError as error:
        raise PresetFileError("not well-formed XML: it holds half a surrogate pair") from error
    title = reader.settings.get("Name", reader.title)
    return (title.texts or [title.text])[0] if title else "", reader.settings


class _Reader:
    """Collects the settings that stand directly in rdf:RDF/rdf:Description, as attributes or as elements.

    What makes XML dangerous, entities of one's own and files read from elsewhere, takes a DOCTYPE: none is let in.
    """

    def __init__(self) -> None:
        self.settings: _Settings = {}
        self.title: _Setting | None = None  # dc:title
        self._path: list[str] = []
        # How deep the rdf:Description lies that is being read, 0 outside of one.
        self._depth = 0
        self._setting: _Setting | None = None
        self.parser = expat.ParserCreate(namespace_separator=" ")
        self.parser.buffer_text = True
        self.parser.StartDoctypeDeclHandler = self._doctype
        self.parser.StartNamespaceDeclHandler = self._namespace
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._data

    def _place(self) -> _Setting:
        return _Setting(self.parser.CurrentLineNumber, self.parser.CurrentColumnNumber + 1)

    def _doctype(self, *_: Any) -> None:
        place = self._place()
        raise PresetFileError("a preset may not have a DOCTYPE", place.line, place.column)

    def _namespace(self, _: str | None, namespace: str | None) -> None:
        if len(namespace or "") > LONGEST_NAMESPACE:
            place = self._place()
            raise PresetFileError(
                f"a namespace may have {LONGEST_NAMESPACE} characters in a preset", place.line, place.column
            )

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        self._path.append(tag)
        below = len(self._path) - self._depth
        if not self._depth:
            if self._path[-2:] == [_RDF + "RDF", _RDF + "Description"]:
                self._depth = len(self._path)
                for name, value in attributes.items():
                    if name.startswith(_CRS):
                        setting = self._place()
                        setting.parts.append(value)
                        self.settings[name.removeprefix(_CRS)] = setting
        elif below == 1:
            self._setting = self._place()
            self._setting.name = attributes.get(_CRS + "Name")
            self._setting.is_structure = any(name.startswith(_CRS) for name in attributes)
            self._setting.is_active = attributes.get(_CRS + "Active", "").lower() != "false"
        elif self._setting is not None:
            if below == 3 and tag == _RDF + "li":
                self._setting.items.append([])
            elif below == 2 and tag == _RDF + "Description":
                self._setting.is_structure = True
                self._setting.name = attributes.get(_CRS + "Name")
            elif below == 2 and tag.startswith(_CRS):
                self._setting.is_structure = True

    def _end(self, tag: str) -> None:
        below = len(self._path) - self._depth
        self._path.pop()
        if not self._depth:
            return
        if below == 0:
            self._depth = 0
        elif below == 1 and self._setting is not None:
            if tag.startswith(_CRS):
                self.settings[tag.removeprefix(_CRS)] = self._setting
            elif tag == _DC_TITLE:
                self.title = self._setting
            self._setting = None

    def _data(self, data: str) -> None:
        if self._setting is None:
            return
        below = len(self._path) - self._depth
        if below == 1:
            self._setting.parts.append(data)
        elif below == 3 and self._path[-1] == _RDF + "li":
            self._setting.items[-1].append(data)
        elif self._path[-1] == _CRS + "Name" and not data.isspace():
            self._setting.name = data
