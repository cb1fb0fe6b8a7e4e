"""Choosing the sliders: by the learned model, or by rules over an analysis; each with its reason.

The rules serve for pictures that are too small for the model, or unlike what it has learnt from. They are cautious by
design: a picture whose tones and colours are within what good photographs have is left alone, and what is moved is
moved by less than the evidence asks for.
"""

import math
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from studio.tone_mapping.adjustments import Adjustments
from studio.tone_mapping.analyse import MONOCHROME, Analysis
from studio.tone_mapping.colour import ramp, to_encoded, to_linear
from studio.tone_mapping.grade import grade
from studio.tone_mapping.learned import FAULTS, Prediction, RawSliders

# Encoded tones that good photographs have: their darkest and brightest 0.5 % lie at or beyond these.
_BLACK, _BLACK_TOO_HIGH = 0.072, 0.18
_WHITE, _WHITE_LOW, _WHITE_TOO_LOW = 0.93, 0.89, 0.73
# What tells too much exposure: the middle, the share of full pixels and the darks all rise from usual to certain.
_BRIGHT_MIDDLE, _MUCH_CLIPPED, _BRIGHT_DARKS = (0.50, 0.60), (0.03, 0.10), (0.18, 0.30)
_OVER_MAX = 1.2  # EV taken off the brightest pictures
_DULL, _DULLEST, _VIBRANCE_MAX = 9, 4, 60  # mean chroma that calls for vibrance

# The light of good photographs is a little warm and green to the estimators; that is no cast. In EV.
# Dull pictures have less of it, pictures without colour none.
_USUAL_WARM, _USUAL_GREEN = 0.41, 0.115
_WARM_FREE, _GREEN_FREE = 0.23, 0.20  # departures from the usual that are left alone
_CAST_SHARE = 0.75  # of what is beyond them, this much is taken out
_SURE, _UNSURE = 0.1, 1.5  # spread of the estimators, from full to no correction


# Probability of a fault, from where on it is mended, and from where wholly: of tones and saturation, and of the light.
# training/README.md tells how they were chosen.
_LIKELY, _LIKELY_CAST = (0.4, 0.8), (0.3, 0.8)
_CASTS = ("warm", "cool", "green", "magenta")
# Probability of a camera that was set to another light, from where on what was found apart is taken, and until where.
_WRONG_LIGHT = (0.5, 0.7)
# Tint per temperature on the locus of black bodies, and how far off it is no and is all of a camera's fault.
_LOCUS, _OFF_LOCUS = -0.22, (14, 8)
# Exposure may darken white by so many EV: where there is none and where there is plenty. More is left to curves.
_DARKER_WHITE, _DARKEST_WHITE = 0.33, 0.08
_BLOWN = (0.0, 0.004)
_CONTRAST_MOST = 60
_PAST_DARKEST = 1.15  # of the darkest tone, the black point at most: the toe leaves some of what lies there
_WHITE_LIGHT, _MUCH_BLOWN = 0.8, (0.02, 0.1)  # share of the balance that much white takes away
# Sliders per EV: first highlights, and shadows for what they cannot. At more of either, noise next to white would show.
_HIGHLIGHTS, _SHADOWS, _MOST = 150, 130, 90

# How a picture comes out, from where on a finish is added, and where wholly: the brightest 0.5 % and the deviation of
# the encoded tones, the mean chroma, the probability of being good as it was.
_DIM, _FLAT, _PALE, _PLAIN = (0.92, 0.85), (0.19, 0.14), (15, 9), (0.3, 0.12)
# What a whole one adds, besides black and white: contrast, shadows for what that takes from them, and EV at most.
_FINISH_CONTRAST, _FINISH_SHADOWS, _FINISH_LIGHT = 30, 30, 1.0


Group = Literal["tone", "white_balance", "colour"]

_SLIDERS: dict[Group, tuple[str, ...]] = {
    "tone": ("exposure", "contrast", "highlights", "shadows", "whites", "blacks"),
    "white_balance": ("temperature", "tint"),
    "colour": ("vibrance", "saturation"),
}
_GROUP_OF: dict[str, Group] = {
    **dict.fromkeys(("black_point", "white_point", "overexposure", "dark_middle", "tone", "finish"), "tone"),
    "white_balance": "white_balance",
    **dict.fromkeys(("vibrance", "saturation"), "colour"),
}


@dataclass(frozen=True)
class Step:
    """One decision."""

    name: str
    applied: bool
    reason: str


@dataclass(frozen=True)
class AutoResult:
    """The sliders chosen, how sure that choice is (0..1), and why."""

    adjustments: Adjustments
    confidence: float
    steps: tuple[Step, ...]


def choose(analysis: Analysis, prediction: Prediction | None = None) -> AutoResult:
    """Choose sliders for a picture; zero for what is good already.

    Parameters
    ----------
    analysis : Analysis
    prediction : Prediction | None
        What the model says of the same proxy; the rules choose where it is absent or not to be trusted.
    """
    if prediction is not None and _trusted(analysis):
        return _by_model(analysis, prediction)
    return _by_rules(analysis)


def skipping(result: AutoResult, groups: Collection[Group]) -> AutoResult:
    """Leave groups of sliders where they were.

    Parameters
    ----------
    result : AutoResult
    groups : collection of {"tone", "white_balance", "colour"}
    """
    if not groups:
        return result
    sliders = [slider for group in groups for slider in _SLIDERS[group]]
    steps = tuple(
        replace(step, applied=False, reason=f"{step.reason} Skipped, as asked.")
        if step.applied and _GROUP_OF.get(step.name) in groups
        else step
        for step in result.steps
    )
    adjustments = result.adjustments.model_copy(update=dict.fromkeys(sliders, 0.0))
    return replace(result, adjustments=adjustments, steps=steps)


def _by_rules(analysis: Analysis) -> AutoResult:
    blacks, black_step = _black_point(analysis)
    exposure, whites, white_step = _white_point(analysis, blacks)
    darker, darker_step = _too_bright(analysis)
    shadows, shadows_step = _dark_middle(analysis, exposure)
    temperature, tint, sureness, balance_step = _white_balance(analysis)
    vibrance, vibrance_step = _dullness(analysis, blacks, exposure, whites)
    adjustments = Adjustments(
        exposure=round(exposure + darker, 2),
        shadows=round(shadows),
        whites=round(whites),
        blacks=round(blacks),
        vibrance=round(vibrance),
        temperature=round(temperature),
        tint=round(tint),
    )
    # Dark by intent and a light that the estimators see differently are what the rules are misled by.
    doubt = max(analysis.low_key, analysis.high_key, analysis.night, 1 - sureness)
    return AutoResult(
        adjustments,
        confidence=round(1 - 0.6 * doubt, 2),
        steps=(black_step, white_step, darker_step, shadows_step, balance_step, vibrance_step),
    )


def _trusted(analysis: Analysis) -> bool:
    """Tell whether the picture is like what the model has learnt from: photographs in colour that are no night scene.

    The model has no measure of how strange a picture is to it; these are the kinds that were not among its lessons.
    """
    return analysis.chroma_90 >= MONOCHROME and analysis.night < 0.5


def _by_model(analysis: Analysis, prediction: Prediction) -> AutoResult:
    chosen = shared_out(mended(prediction), analysis.blown, analysis.luma[0.5])
    share, seen = _unfinished(chosen, analysis, prediction.good_probability)
    adjustments = finished(chosen, analysis, share)
    added = {
        slider: round(getattr(adjustments, slider) - getattr(chosen, slider), 2)
        for slider in ("exposure", "contrast", "shadows", "blacks")
    }
    white, middle = analysis.brightest[99.5], analysis.luma[50]
    warm, green, chroma = analysis.cast.warm, analysis.cast.green, analysis.chroma_mean
    probability = {fault: found.probability for fault, found in prediction.faults.items()}
    likely = {fault: f"{of_it:.0%} likely" for fault, of_it in probability.items()}
    likeliest = max(probability, key=lambda fault: probability[fault])
    steps = (
        _step(
            "black_point",
            f"The darkest 0.5 % are at {analysis.luma[0.5]:.0%}, a veil is {likely['veiled']}",
            {"blacks": chosen.blacks},
        ),
        _step(
            "white_point",
            f"The brightest 0.5 % are at {white:.0%}, the middle tone at {middle:.0%}, "
            f"too little light is {likely['under']}",
            {"exposure": max(chosen.exposure, 0.0), "whites": chosen.whites},
        ),
        _step(
            "overexposure",
            f"The middle tone is at {middle:.0%}, {analysis.clipped_high:.1%} of the pixels are full, "
            f"too much light is {likely['over']}",
            {
                "exposure": min(chosen.exposure, 0.0),
                "highlights": chosen.highlights,
                "shadows": chosen.shadows,
            },
        ),
        _step(
            "white_balance",
            f"The light is {warm:+.2f} EV warm, {green:+.2f} EV green; {_told_casts(chosen, probability)}, "
            f"that the camera was set to another light {prediction.wrong_light_probability:.0%}",
            {"temperature": chosen.temperature, "tint": chosen.tint},
        ),
        _step(
            "contrast",
            f"The middle half of the pixels spans {analysis.luma[75] - analysis.luma[25]:.0%}, "
            f"a lack of contrast is {likely['flat']}",
            {"contrast": chosen.contrast},
        ),
        _step(
            "saturation",
            f"Mean chroma is {chroma:.0f}, a lack of it is {likely['pale']}",
            {"saturation": chosen.saturation},
        ),
        _step("finish", seen, added),
        Step(
            "already_good",
            adjustments == Adjustments(),
            f"The likeliest of all faults ({likeliest}) is {likely[likeliest]}.",
        ),
    )
    # Of the decision that is least sure: a fault that is as probable as not is a guess.
    sureness = min(max(yes, 1 - yes) for yes in (*probability.values(), prediction.wrong_light_probability))
    return AutoResult(adjustments, confidence=round(sureness, 2), steps=steps)


def _told_casts(chosen: Adjustments, probability: dict[str, float]) -> str:
    """Say how likely the casts are that were taken back, or that there is any."""
    moved = []
    if chosen.temperature:
        moved.append("warm" if chosen.temperature < 0 else "cool")
    if chosen.tint:
        moved.append("green" if chosen.tint > 0 else "magenta")
    if not moved:
        return f"that it has a cast is {max(probability[cast] for cast in _CASTS):.0%} likely at most"
    return " and ".join(f"that it is too {cast} is {probability[cast]:.0%} likely" for cast in moved)


def _unfinished(chosen: Adjustments, analysis: Analysis, good: float) -> tuple[float, str]:
    """Tell how much of a finish a picture calls for after the sliders chosen, 0..1, and what is seen of it.

    Only what lacks whites, contrast and colour all at once does: good photographs are often one of these.
    """
    shares = np.array(analysis.histogram)
    middles = (np.arange(len(shares)) + 0.5) / len(shares)
    tones = _toned(middles, chosen)
    mean = float(shares @ tones)
    deviation = math.sqrt(float(shares @ (tones - mean) ** 2))
    brighter = mean / max(float(shares @ middles), 1e-3)
    chroma = analysis.chroma_mean * brighter * (1 + chosen.saturation / 100)
    (white,) = _toned([analysis.luma[99.5]], chosen)
    lacks = (ramp(white, *_DIM), ramp(deviation, *_FLAT), ramp(chroma, *_PALE), ramp(good, *_PLAIN))
    seen = f"White comes to {white:.0%}, the tones deviate by {deviation:.0%}, mean chroma comes to {chroma:.0f}"
    return min(*lacks, 1 - analysis.low_key), seen


def finished(chosen: Adjustments, analysis: Analysis, share: float) -> Adjustments:
    """Add what people give dull, flat pictures: black and white, contrast, and light in the shadows.

    Parameters
    ----------
    chosen : Adjustments
    analysis : Analysis
        Of the picture before them. What is added takes the black point to its darkest half percent at most.
    share : float
        Of the whole finish, 0..1.
    """
    lack = max(min(analysis.luma[0.5] / 0.0035, 100) + chosen.blacks, 0)
    deep = chosen.model_copy(update={"blacks": chosen.blacks - float(round(share * lack))})
    (white,) = _toned([analysis.brightest[99.5]], deep)
    brighter = float(np.clip(np.log2(_light(_WHITE) / max(_light(white), 1e-3)), 0, _FINISH_LIGHT))
    return deep.model_copy(
        update={
            "exposure": round(deep.exposure + share * brighter, 2),
            "contrast": deep.contrast + round(share * _FINISH_CONTRAST),
            "shadows": min(deep.shadows + round(share * _FINISH_SHADOWS), 100),
        }
    )


def _toned(codes: Any, adjustments: Adjustments) -> Any:
    """Grade greys, but for the balance."""
    greys = np.repeat(np.array(codes, np.float32)[:, None], 3, axis=1)
    return grade(greys, adjustments.model_copy(update={"temperature": 0.0, "tint": 0.0}))[:, 0]


def _step(name: str, seen: str, sliders: dict[str, float]) -> Step:
    moved = ", ".join(f"{slider} {value:+g}" for slider, value in sliders.items() if value)
    return Step(name, bool(moved), f"{seen}: {moved or 'left'}.")


def _light(encoded: float) -> float:
    return float(to_linear(np.array(encoded, np.float32)))


def _code(linear: float) -> float:
    return float(to_encoded(np.array(linear, np.float32)))


def _black_point(analysis: Analysis) -> tuple[float, Step]:
    darkest = analysis.luma[0.5]
    veil = ramp(darkest, _BLACK + 0.04, _BLACK_TOO_HIGH) * (1 - analysis.high_key)
    lift = max(_light(darkest) - _light(_BLACK), 0) * veil
    blacks = -min(_code(lift) / 0.0035, 100)
    if blacks > -2:
        return 0.0, Step("black_point", False, f"The darkest 0.5 % are at {darkest:.0%}: dark enough.")
    return blacks, Step("black_point", True, f"The darkest 0.5 % are at {darkest:.0%}: a veil is taken off.")


def _white_point(analysis: Analysis, blacks: float) -> tuple[float, float, Step]:
    """Light to make the brightest tones white: exposure, but whites where a veil shows that contrast is what lacks."""
    brightest = analysis.brightest[99.5]
    black = _light(-0.0035 * blacks)
    lack = ramp(brightest, _WHITE_LOW, _WHITE_TOO_LOW) * (1 - analysis.night)
    wanted = (_light(_WHITE) - black) / max(_light(brightest) - black, 1e-3)
    gain = float(np.log2(max(wanted, 1)) * lack)
    if gain < 0.05:
        return 0.0, 0.0, Step("white_point", False, f"The brightest 0.5 % are at {brightest:.0%}: bright enough.")
    reason = f"The brightest 0.5 % are at {brightest:.0%}: {gain:+.2f} EV"
    if blacks < 0:
        white = max(2.0**-gain, _light(0.6))
        whites = (1 - _code(white)) / 0.004
        rest = gain + float(np.log2(white))
        return min(rest, 3.0), whites, Step("white_point", True, f"{reason} by the white point.")
    return min(gain, 3.0), 0.0, Step("white_point", True, f"{reason} of exposure.")


def _too_bright(analysis: Analysis) -> tuple[float, Step]:
    middle, clipped = analysis.luma[50], analysis.clipped_high
    excess = ramp(middle, *_BRIGHT_MIDDLE) * ramp(clipped, *_MUCH_CLIPPED) * ramp(analysis.luma[5], *_BRIGHT_DARKS)
    darker = -_OVER_MAX * excess * (1 - 0.7 * analysis.high_key)
    reason = f"The middle tone is at {middle:.0%}, {clipped:.1%} of the pixels are full"
    if darker > -0.05:
        return 0.0, Step("overexposure", False, f"{reason}: not too bright.")
    return darker, Step("overexposure", True, f"{reason}: {darker:+.2f} EV.")


def _dark_middle(analysis: Analysis, exposure: float) -> tuple[float, Step]:
    """Shadows up where whites are right but most of the picture is dark."""
    middle = _code(min(_light(analysis.luma[50]) * 2**exposure, 1))
    lack = ramp(middle, 0.32, 0.15) * (1 - analysis.night)
    shadows = 40 * lack
    if shadows < 3:
        return 0.0, Step("dark_middle", False, f"The middle tone comes to {middle:.0%}: no need.")
    return shadows, Step("dark_middle", True, f"The middle tone comes to {middle:.0%}: shadows {shadows:+.0f}.")


def _white_balance(analysis: Analysis) -> tuple[float, float, float, Step]:
    if analysis.chroma_90 < MONOCHROME:
        reason = f"90 % of the pixels have a chroma below {MONOCHROME}: black and white is left so."
        return 0.0, 0.0, 1.0, Step("white_balance", False, reason)
    usual = ramp(analysis.chroma_mean, 0, 12)
    warm, green = analysis.cast.warm - usual * _USUAL_WARM, analysis.cast.green - usual * _USUAL_GREEN
    seen = f"Light {warm:+.2f} EV warm, {green:+.2f} EV green of usual, estimators {analysis.cast_spread:.2f} EV apart"
    if not analysis.casts:
        return (
            0.0,
            0.0,
            0.5,
            Step("white_balance", False, "Too few pixels are neither dark nor full to judge the light."),
        )
    sureness = ramp(analysis.cast_spread, _UNSURE, _SURE)
    move = sureness * (1 - analysis.night)
    temperature = -float(np.clip(_beyond(warm, _WARM_FREE) * _CAST_SHARE * move / 0.016, -50, 50))
    tint = float(np.clip(_beyond(green, _GREEN_FREE) * _CAST_SHARE * move / 0.008, -30, 30))
    if max(abs(temperature), abs(tint)) < 2:
        return 0.0, 0.0, sureness, Step("white_balance", False, f"{seen}: left.")
    return temperature, tint, sureness, Step("white_balance", True, f"{seen}: moved part of the way.")


def _beyond(value: float, dead: float) -> float:
    """Keep of a value what lies outside of -dead..dead."""
    return value - float(np.clip(value, -dead, dead))


def _dullness(analysis: Analysis, blacks: float, exposure: float, whites: float) -> tuple[float, Step]:
    """Vibrance where colours stay weak once the tones are stretched."""
    black, white = -0.0035 * blacks, 1 - 0.004 * whites
    chroma = analysis.chroma_mean * 2 ** (exposure / 2.4) / (white - black)
    vibrance = _VIBRANCE_MAX * ramp(chroma, _DULL, _DULLEST) * (analysis.chroma_90 >= MONOCHROME)
    if vibrance < 3:
        return 0.0, Step("vibrance", False, f"Mean chroma comes to {chroma:.0f}: colourful enough.")
    return vibrance, Step("vibrance", True, f"Mean chroma comes to {chroma:.0f}: vibrance {vibrance:+.0f}.")


def mended(prediction: Prediction) -> RawSliders:
    """Take what mends the faults that a picture likely has, each by its own probability.

    A two-part ("hurdle") model (Cragg 1971): whether, then how much. Where the camera was surely set to another light,
    temperature and tint are what takes that back.
    """
    sliders = RawSliders()._asdict()
    for fault, slider in FAULTS.items():
        probability, amount = prediction.faults[fault]
        likely = _LIKELY_CAST if fault in _CASTS else _LIKELY
        sliders[slider] += ramp(probability, *likely) * amount
    wrong = _wrong_light(prediction)
    sliders["temperature"] += wrong * (prediction.light_temperature - sliders["temperature"])
    sliders["tint"] += wrong * (prediction.light_tint - sliders["tint"])
    return RawSliders(**sliders)


def _wrong_light(prediction: Prediction) -> float:
    """Tell how surely the camera was set to another light, 0..1: what is green or magenta besides is another fault."""
    off = off_locus(prediction.light_temperature, prediction.light_tint)
    return ramp(prediction.wrong_light_probability, *_WRONG_LIGHT) * ramp(off, *_OFF_LOCUS)


def off_locus(temperature: Any, tint: Any) -> Any:
    """Find how far a balance is off the locus of black bodies, which cameras' presets keep to.

    Parameters
    ----------
    temperature, tint : float or ndarray
        As sliders have them. The locus is a straight line of them here.

    Returns
    -------
    float or ndarray
        Steps of tint, at least 0.
    """
    return abs(tint - _LOCUS * temperature)


def shared_out(raw: RawSliders, blown: float = 0.0, darkest: float = 1.0) -> Adjustments:
    """Turn raw sliders into those of a grade.

    What brightens under a veil is the white point's, what darkens beyond a little is the highlights' and shadows',
    which hold white; the rest is exposure.

    Parameters
    ----------
    raw : RawSliders
    blown : float
        Share of the pixels that are white, 0..1: the more, the less exposure may take from them, and the less the
        light is balanced, for they stay white and show an edge.
    darkest : float
        Encoded luminance that next to no pixel lies below, 0..1: the black point hardly passes it.
    """
    blacks = round(float(np.clip(raw.blacks, -min(_PAST_DARKEST * darkest / 0.0035, 100), 0)))
    gain, whites = float(np.clip(raw.gain, -_OVER_MAX, 3.5)), 0
    if blacks < -2 and gain > 0:
        black = _light(-0.0035 * blacks)
        white = max(black + (1 - black) * 2.0**-gain, _light(0.6))
        whites = round((1 - _code(white)) / 0.004)
        white = _light(1 - 0.004 * whites)
        gain += float(np.log2((white - black) / (1 - black)))
    exposure = max(gain, -_DARKER_WHITE + (_DARKER_WHITE - _DARKEST_WHITE) * ramp(blown, *_BLOWN))
    balance = 1 - _WHITE_LIGHT * ramp(blown, *_MUCH_BLOWN)
    bent = exposure - gain  # EV that the bend of the tones stands for, as near as it comes below white
    return Adjustments(
        exposure=round(exposure, 2),
        contrast=round(float(np.clip(raw.contrast, 0, _CONTRAST_MOST))),
        highlights=-round(min(_HIGHLIGHTS * bent, _MOST)),
        shadows=-round(min(_SHADOWS * max(bent - _MOST / _HIGHLIGHTS, 0), _MOST)),
        whites=whites,
        blacks=blacks,
        temperature=round(float(np.clip(balance * raw.temperature, -90, 90))),
        tint=round(float(np.clip(balance * raw.tint, -70, 70))),
        saturation=round(float(np.clip(raw.saturation, -40, 100))),
    )
