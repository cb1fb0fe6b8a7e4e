"""A project: everything that a film is made from. Times of pictures are frames, those of sounds are seconds."""

import re
from collections.abc import Mapping
from fractions import Fraction
from math import ceil
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    PlainSerializer,
    TypeAdapter,
    ValidationError,
    WithJsonSchema,
    field_validator,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from studio.tone_mapping.adjustments import Adjustments

SAMPLE_RATE = 48_000
SECONDS_MAX = 86_400
PROJECT_CLIPS_MAX = 200
_MOST_FRAMES = 1_000_000
_MOST_PROBLEMS = 1000  # each is copied on its way to the answer
_CONTAINERS = {"h264": "mp4", "hevc": "mp4", "vp9": "webm", "prores": "mov", "gif": "gif"}
_GIF_PIXELS, _GIF_RATE, _GIF_SECONDS = 1280 * 720, 50, 60
# Bits a pixel, measured at 1080p; Apple ProRes White Paper: 45, 147 and 220 Mb/s for Proxy, 422 and HQ of it at 29.97.
_PRORES_BITS = {"draft": 0.8, "standard": 2.5, "high": 3.8}
_PRORES_BITS_SMALL, _SMALL_PIXELS = 1.7, 1_500_000  # times as many, for less than so many pixels
_PRORES_GIGABYTES = 25  # what joins the segments reads and writes each byte some six times, in half an hour

PRESET_SIZES = {
    "480p": (854, 480),
    "720p": (1280, 720),
    "1080p": (1920, 1080),
    "1440p": (2560, 1440),
    "2160p": (3840, 2160),
}
# Each as `motion` of a shot takes it.
MOTIONS: dict[str, dict[str, Any]] = {
    "hold": {},
    "ken_burns_in": {"from": {"x": 0.5, "y": 0.5, "zoom": 1}, "to": {"x": 0.5, "y": 0.45, "zoom": 1.2}},
    "ken_burns_out": {"from": {"x": 0.5, "y": 0.45, "zoom": 1.2}, "to": {"x": 0.5, "y": 0.5, "zoom": 1}},
    "pan_left": {"from": {"x": 1, "zoom": 1.2}, "to": {"x": 0, "zoom": 1.2}},
    "pan_right": {"from": {"x": 0, "zoom": 1.2}, "to": {"x": 1, "zoom": 1.2}},
    "pan_up": {"from": {"y": 1, "zoom": 1.2}, "to": {"y": 0, "zoom": 1.2}},
    "pan_down": {"from": {"y": 0, "zoom": 1.2}, "to": {"y": 1, "zoom": 1.2}},
}


def _exact_rate(given: object) -> object:
    """Read 25, "25", 23.976 and "24000/1001" as the rates that they mean.

    A decimal of two digits or more means a whole rate slowed down by 1000/1001 where that, rounded or cut, is it.
    """
    if isinstance(given, Fraction):
        return given
    text = str(given)
    if not re.fullmatch(r"\d{1,6}(/\d{1,6}|\.\d{1,6})?", text):
        raise ValueError("a rate is a number of frames a second, or a fraction such as 24000/1001")
    try:
        rate = Fraction(text)
    except ZeroDivisionError:
        raise ValueError("a rate is not a fraction of zero") from None
    slowed, digits = Fraction(ceil(rate) * 1000, 1001), len(text.partition(".")[2])
    return slowed if digits >= 2 and abs(rate - slowed) < Fraction(1, 10**digits) else rate


def _named_size(given: object) -> object:
    if not isinstance(given, str):
        return given
    if given not in PRESET_SIZES:
        raise ValueError(f"a size is width and height, or one of {', '.join(PRESET_SIZES)}")
    width, height = PRESET_SIZES[given]
    return {"width": width, "height": height}


def _named_motion(given: object) -> object:
    if not isinstance(given, str):
        return given
    if given not in MOTIONS:
        raise ValueError(f"a motion is from, to and easing, or one of {', '.join(MOTIONS)}")
    return MOTIONS[given]


_SizeName = Annotated[str, Field(json_schema_extra={"enum": list(PRESET_SIZES)})]
Rate = Annotated[
    Fraction,
    BeforeValidator(_exact_rate),
    PlainSerializer(str, return_type=str),
    WithJsonSchema(
        {"anyOf": [{"type": "string"}, {"type": "number"}], "examples": ["24000/1001", 25]}, mode="validation"
    ),
    WithJsonSchema({"type": "string", "examples": ["24000/1001", "25"]}, mode="serialization"),
]
Colour = Annotated[str, Field(pattern=r"^#[0-9a-fA-F]{6}$", description="#rrggbb, sRGB.")]
Key = Annotated[str, Field(min_length=1, max_length=300, pattern=r"^[^\x00-\x1f\x7f]*$")]
Frames = Annotated[int, Field(ge=1, le=_MOST_FRAMES)]
Seconds = Annotated[float, Field(ge=0, le=SECONDS_MAX, allow_inf_nan=False)]


def bgr_of(colour: Colour) -> tuple[int, int, int]:
    """Return blue, green and red of a colour, 0..255.

    Parameters
    ----------
    colour : str
        ``#rrggbb``.

    Returns
    -------
    (int, int, int)
    """
    red, green, blue = bytes.fromhex(colour[1:])
    return blue, green, red


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", validate_by_name=True, strict=True)


class Size(_Part):
    """Of the film's picture, in pixels; even, for chroma has half of them."""

    width: int = Field(ge=64, le=4096, multiple_of=2)
    height: int = Field(ge=64, le=4096, multiple_of=2)


FilmSize = Annotated[Size, BeforeValidator(_named_size, json_schema_input_type=Size | _SizeName)]
_SIZE: TypeAdapter[Size] = TypeAdapter(FilmSize)
_DEFAULT_SIZE = Size(width=1920, height=1080)


class Camera(_Part):
    """Where the camera looks.

    Zoom 1 shows all that `fit` leaves; beyond the picture's edge the camera never looks where it can help it.
    """

    x: float = Field(default=0.5, ge=0, le=1, description="Centre, from the picture's left edge to its right.")
    y: float = Field(default=0.5, ge=0, le=1, description="Centre, from the picture's top to its bottom.")
    zoom: float = Field(default=1, ge=1, le=10)


class Motion(_Part):
    """A camera move from the shot's first frame to its last. Zooming is even: its rate is the same all the way."""

    start: Camera = Field(default=Camera(), alias="from")
    to: Camera = Camera()
    easing: Literal["linear", "ease_in", "ease_out", "ease_in_out"] = "ease_in_out"


class Cut(_Part):
    """The next shot follows at once."""

    type: Literal["cut"] = "cut"

    @property
    def duration_frames(self) -> int:
        """None at all."""
        return 0


class Dissolve(_Part):
    """The next shot shines through, in linear light."""

    type: Literal["dissolve"]
    duration_frames: Frames


class Fade(_Part):
    """To a colour, and from it to the next shot."""

    type: Literal["fade"]
    duration_frames: Frames
    colour: Colour = "#000000"


class Wipe(_Part):
    """An edge travels over the picture; the next shot is behind it."""

    type: Literal["wipe"]
    duration_frames: Frames
    direction: Literal["left", "right", "up", "down"] = "left"


class Push(_Part):
    """The next shot pushes this one out of the picture."""

    type: Literal["push"]
    duration_frames: Frames
    direction: Literal["left", "right", "up", "down"] = "left"


# What pydantic puts into paths to say which kind of transition it took: the sender never wrote that.
_TAGS = {("transition", kind) for kind in ("cut", "dissolve", "fade", "wipe", "push")}

Transition = Annotated[Cut | Dissolve | Fade | Wipe | Push, Field(discriminator="type")]


class CaptionStyle(_Part):
    """How a caption looks; lengths are shares of the picture's height."""

    font: Literal["noto_sans", "noto_serif", "noto_sans_arabic"] = "noto_sans"
    size: float = Field(default=0.05, ge=0.01, le=0.3, description="Of the letters.")
    bold: bool = False
    italic: bool = False
    colour: Colour = "#ffffff"
    outline: float = Field(default=0.08, ge=0, le=0.3, description="Width, as a share of the letters' size.")
    outline_colour: Colour = "#000000"
    position: Literal["top", "middle", "bottom"] = "bottom"
    align: Literal["left", "centre", "right"] = "centre"
    margin: float = Field(
        default=0.06,
        ge=0,
        le=0.4,
        description="Between text and the picture's edges; of those at its sides, a share of its shorter side.",
    )


class Caption(_Part):
    """Text over a shot.

    It stands from `start_frame` up to and without `end_frame`, both of the shot. By default it stands as long as the
    shot is the one that is seen: from the middle of the transition before it to the middle of the one after it.
    """

    text: str = Field(min_length=1, max_length=500)
    style: CaptionStyle = CaptionStyle()
    start_frame: int | None = Field(default=None, ge=0)
    end_frame: int | None = Field(default=None, ge=1)

    @field_validator("text")
    @classmethod
    def _something(cls, text: str) -> str:
        if not text.strip():
            raise ValueError("a caption has text")
        if len(text.strip().splitlines()) > 10:
            raise ValueError("a caption has 10 lines at most")
        if any(ord(character) < 32 and character not in "\n\r" for character in text):
            raise ValueError("a caption's only control character is the new line")
        return text

    @model_validator(mode="after")
    def _forwards(self) -> Self:
        if self.start_frame is not None and self.end_frame is not None and self.end_frame <= self.start_frame:
            raise ValueError(f"a caption ends after it starts; got {self.start_frame} to {self.end_frame}")
        return self


class ShotGrade(_Part):
    """How a still is graded: automatically, then by a preset, then by sliders."""

    auto: bool = False
    preset_id: str | None = Field(default=None, max_length=64, pattern=r"^[a-z0-9_]+$")
    strength: float = Field(default=100, ge=0, le=100, description="How much of the preset, in percent.")
    adjustments: Adjustments | None = None


class Shot(_Part):
    """A still for some frames, those that it shares with its neighbours by transitions among them."""

    image_key: Key
    duration_frames: Frames
    motion: Annotated[Motion, BeforeValidator(_named_motion)] = Field(
        default=Motion(), description=f"Sent by itself, or by a name: {', '.join(MOTIONS)}."
    )
    transition: Transition = Field(default=Cut(), description="Into the next shot.")
    caption: Caption | None = None
    grade: ShotGrade | None = None


class Trim(_Part):
    """The part of a recording that is heard."""

    start_seconds: Seconds = 0
    end_seconds: Seconds | None = Field(default=None, description="The recording's end by default.")

    @model_validator(mode="after")
    def _forwards(self) -> Self:
        if self.end_seconds is not None and self.end_seconds <= self.start_seconds:
            raise ValueError(f"a trim ends after it starts; got {self.start_seconds:g} to {self.end_seconds:g}")
        return self


class AudioClip(_Part):
    """A recording in the film; what would sound past the film's end is cut off there."""

    audio_key: Key
    role: Literal["voice", "music", "effect"] = "effect"
    start_seconds: Seconds = 0
    gain_db: float = Field(default=0, ge=-60, le=24)
    fade_in_seconds: Seconds = 0
    fade_out_seconds: Seconds = 0
    trim: Trim = Trim()
    duck_db: float = Field(default=-12, ge=-60, le=0, description="Of music: how much quieter it is under a voice.")


class FilmOutput(_Part):
    """How the film is written."""

    codec: Literal["h264", "hevc", "vp9", "prores", "gif"] = Field(
        default="h264",
        description="prores: 4:2:2 of 10 bits, for an editor; 25 GB at most, as 26 minutes of 1080p have. "
        "gif: without sound; 1280x720 or as many pixels, 50 frames/s and 60 s at most.",
    )
    container: Literal["mp4", "webm", "mov", "gif"] = Field(
        default="mp4", description="The codec's: mp4 for H.264 and HEVC, webm for VP9, mov for ProRes, gif."
    )
    quality: Literal["draft", "standard", "high"] = "standard"
    captions: Literal["burned", "sidecar", "both"] = Field(
        default="burned", description="In the picture, as SRT and WebVTT files beside it, or both."
    )
    poster_frame: int | None = Field(default=None, ge=0, description="By default the middle of the first shot.")

    @model_validator(mode="before")
    @classmethod
    def _container_of_codec(cls, given: Any) -> Any:
        if isinstance(given, Mapping) and "container" not in given:
            return {**given, "container": _CONTAINERS.get(str(given.get("codec")), "mp4")}
        return given

    @model_validator(mode="after")
    def _pair(self) -> Self:
        if self.container != _CONTAINERS[self.codec]:
            raise ValueError(f"{self.codec} is in {_CONTAINERS[self.codec]}; got {self.container}")
        return self


class Project(_Part):
    """A storyboard that can be exported to a film. A wrong one is refused with everything that is wrong with it."""

    size: FilmSize = _DEFAULT_SIZE
    fps: Rate = Field(default=Fraction(24), ge=1, le=60, description="Exact: 23.976 means 24000/1001.")
    fit: Literal["contain", "cover", "stretch"] = Field(
        default="cover", description="contain: bars beside the picture. cover: fills the frame, what is over is hidden."
    )
    background: Colour = Field(default="#000000", description="Of bars, and behind transparent pictures.")
    # Not by `min_length`: pydantic counts the shots that are right, and told of none where all are wrong.
    shots: tuple[Shot, ...] = Field(strict=False, max_length=2000, json_schema_extra={"minItems": 1})
    audio: tuple[AudioClip, ...] = Field(strict=False, default=(), max_length=PROJECT_CLIPS_MAX)
    output: FilmOutput = FilmOutput()

    @property
    def has_sound(self) -> bool:
        """Whether anything is heard."""
        return bool(self.audio) and self.output.codec != "gif"

    @field_validator("shots")
    @classmethod
    def _some(cls, shots: tuple[Shot, ...]) -> tuple[Shot, ...]:
        if not shots:
            raise ValueError("a film has a shot at least")
        return shots

    @field_validator("fps")
    @classmethod
    def _plain(cls, fps: Fraction) -> Fraction:
        if fps.denominator > 1001:
            raise ValueError("a rate is a fraction of 1001 or less")
        return fps

    @model_validator(mode="wrap")
    @classmethod
    def _every_problem(cls, given: Any, validate: ModelWrapValidatorHandler[Self]) -> Self:
        """Tell what is wrong between the parts along with what is wrong within them."""
        problems: list[InitErrorDetails] = []
        project = None
        try:
            project = validate(given)
        except ValidationError as error:
            found = error.errors(include_url=False)
            problems += [_again(problem) for problem in found[:_MOST_PROBLEMS]]
        told = project.model_dump() if project else given
        if isinstance(told, Mapping):
            problems += _problems_between(told)
        if problems or project is None:
            raise ValidationError.from_exception_data(cls.__name__, problems)
        return project


def _again(problem: Any) -> InitErrorDetails:
    path = tuple(
        step
        for before, step in zip((None, *problem["loc"]), problem["loc"], strict=False)
        if (before, step) not in _TAGS
    )
    return InitErrorDetails(type=PydanticCustomError(problem["type"], problem["msg"]), loc=path, input=problem["input"])


def _problem(path: tuple[str | int, ...], kind: str, message: str, given: object) -> InitErrorDetails:
    return InitErrorDetails(type=PydanticCustomError(kind, message), loc=path, input=given)


def _problems_between(given: Mapping[str, Any]) -> list[InitErrorDetails]:
    """Compare what can be compared of a project whose parts may be wrong themselves; those are told elsewhere."""
    shots = given.get("shots")
    if not isinstance(shots, list | tuple):
        return []
    problems = []
    durations = [_frames(shot, "duration_frames") for shot in shots]
    transitions = [_frames(shot, "transition", "duration_frames") for shot in shots]
    for number, (duration, after) in enumerate(zip(durations, transitions, strict=True)):
        before = transitions[number - 1] if number else 0
        if duration is not None and before is not None and after is not None and before + after > duration:
            message = f"a shot is at least as long as its transitions: {before} frames before and {after} after"
            problems.append(_problem(("shots", number, "duration_frames"), "transitions_overlap", message, duration))
        problems += _caption_problems(number, shots[number], duration)
    if transitions and transitions[-1]:
        message = "the last shot has no next one: its transition is a cut"
        problems.append(_problem(("shots", len(shots) - 1, "transition"), "transition_into_nothing", message, None))
    if any(frames is None for frames in durations + transitions):
        return problems
    frames = sum(map(int, durations)) - sum(map(int, transitions))  # type: ignore[arg-type]
    return problems + _length_problems(given, frames)


def _frames(part: Any, *path: str) -> int | None:
    """Read a count of frames; None where it is none. A shot may leave its transition out, which is a cut then."""
    for name in path:
        if not isinstance(part, Mapping):
            return None
        part = part.get(name, {"duration_frames": 0} if name == "transition" else None)
        if name == "transition" and isinstance(part, Mapping) and part.get("type") == "cut":
            return 0
    return part if isinstance(part, int) and not isinstance(part, bool) and 0 <= part <= _MOST_FRAMES else None


def _caption_problems(number: int, shot: Any, duration: int | None) -> list[InitErrorDetails]:
    caption = shot.get("caption") if isinstance(shot, Mapping) else None
    if not isinstance(caption, Mapping) or duration is None:
        return []
    start, end = _frames(caption, "start_frame"), _frames(caption, "end_frame")
    problems = []
    if start is not None and start >= duration:
        message = f"the caption starts past the shot's {duration} frames"
        problems.append(_problem(("shots", number, "caption", "start_frame"), "caption_past_end", message, start))
    if end is not None and end > duration:
        message = f"the caption ends past the shot's {duration} frames"
        problems.append(_problem(("shots", number, "caption", "end_frame"), "caption_past_end", message, end))
    return problems


def _length_problems(given: Mapping[str, Any], frames: int) -> list[InitErrorDetails]:
    """Tell what a film of so many frames is too long for, and what is past its end."""
    problems = []
    output = given.get("output")
    poster = output.get("poster_frame") if isinstance(output, Mapping) else None
    if isinstance(poster, int) and poster >= frames:
        message = f"the film has {frames} frames, counted from 0"
        problems.append(_problem(("output", "poster_frame"), "poster_past_end", message, poster))
    try:
        fps = _exact_rate(given.get("fps", 24))
    except ValueError:
        fps = None
    seconds = frames / fps if isinstance(fps, Fraction) and fps else None
    if frames > _MOST_FRAMES or (seconds is not None and seconds > SECONDS_MAX):
        message = f"a film has {_MOST_FRAMES:,} frames and {SECONDS_MAX // 3600} hours at most; this one has {frames:,}"
        if seconds is not None:
            message += f", {float(seconds) / 3600:.1f} hours"
        problems.append(_problem(("shots",), "film_too_long", message, None))
    problems += _codec_problems(given, frames, seconds)
    clips = given.get("audio", ())
    for number, clip in enumerate(clips if isinstance(clips, list | tuple) else ()):
        start = clip.get("start_seconds", 0) if isinstance(clip, Mapping) else None
        if seconds is not None and isinstance(start, int | float) and start >= seconds:
            message = f"the clip starts past the film's end at {float(seconds):.3f} seconds"
            problems.append(_problem(("audio", number, "start_seconds"), "audio_past_end", message, start))
    return problems


def _codec_problems(given: Mapping[str, Any], frames: int, seconds: Fraction | None) -> list[InitErrorDetails]:
    """Tell what a film has more of than its codec takes."""
    try:
        output = FilmOutput.model_validate(given.get("output", {}))
        size = _SIZE.validate_python(given.get("size", _DEFAULT_SIZE))
    except ValidationError:
        return []  # told elsewhere
    pixels = size.width * size.height
    problems = []
    if output.codec == "gif":
        if pixels > _GIF_PIXELS:
            message = f"a GIF has {_GIF_PIXELS:,} pixels at most, as 1280x720 has; got {size.width}x{size.height}"
            problems.append(_problem(("size",), "gif_too_large", message, given.get("size")))
        if seconds and frames / seconds > _GIF_RATE:
            message = f"a GIF has {_GIF_RATE} frames a second at most; got {float(frames / seconds):g}"
            problems.append(_problem(("fps",), "gif_too_fast", message, given.get("fps")))
        if seconds and seconds > _GIF_SECONDS:
            message = f"a GIF takes {_GIF_SECONDS} seconds at most; this one {float(seconds):.1f}"
            problems.append(_problem(("shots",), "gif_too_long", message, None))
    bits = _PRORES_BITS[output.quality] * (_PRORES_BITS_SMALL if pixels < _SMALL_PIXELS else 1)
    gigabytes = pixels * frames * bits / 8 / 1e9
    if output.codec == "prores" and gigabytes > _PRORES_GIGABYTES:
        message = f"a film in ProRes has {_PRORES_GIGABYTES} GB at most; this one would have about {gigabytes:.0f}"
        problems.append(_problem(("output", "codec"), "prores_too_large", message, output.codec))
    return problems
