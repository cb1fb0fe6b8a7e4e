"""Choosing the sliders by rules over an analysis.

The rules are cautious by design: a picture whose tones and colours are within what good photographs have is left alone,
and what is moved is moved by less than the evidence asks for. In black and white they ask for a second opinion: the
learned model is not trusted with such pictures, but it tells too dark from dark by intent, too bright from bright.
"""

from typing import NamedTuple

import numpy as np

from studio.tone_mapping.adjustments import Adjustments
from studio.tone_mapping.analyse import MONOCHROME, Analysis
from studio.tone_mapping.auto_result import AutoResult, Step
from studio.tone_mapping.colour import encoded_value, linear_value, ramp
from studio.tone_mapping.learned import Prediction

# Encoded tones that good photographs have: their darkest and brightest 0.5 % lie at or beyond these.
_BLACK, _BLACK_TOO_HIGH = 0.072, 0.18
WHITE, _WHITE_LOW, _WHITE_TOO_LOW = 0.93, 0.89, 0.73
# In black and white, where luminance is all there is, fewer pixels come to white: the brightest 0.1 % tell.
_WHITE, _GREY_WHITE = 99.5, 99.9  # percentiles
_GREY_WHITE_LOW, _GREY_WHITE_TOO_LOW = 0.93, 0.81
# Probability of too little or too much light, by the model, from where on it is believed there, and from where wholly.
# training/README.md tells how they were chosen.
_BELIEVED = (0.1, 0.3)
# Whites that are darker than anyone means them to be: below the first they count without the model, below the second
# wholly.
_NOT_MEANT = (0.55, 0.40)
# What tells too much exposure: the middle, the share of full pixels and the darks all rise from usual to certain.
_BRIGHT_MIDDLE, _MUCH_CLIPPED, _BRIGHT_DARKS = (0.50, 0.60), (0.03, 0.10), (0.18, 0.30)
OVER_MAX = 1.2  # EV taken off the brightest pictures
# Exposure may darken white by so many EV: where there is none and where there is plenty. More is left to curves.
_DARKER_WHITE, _DARKEST_WHITE = 0.33, 0.08
_BLOWN = (0.0, 0.004)
# Sliders per EV, first highlights, and shadows for what they cannot: at more of those, dark tones would drown.
_PER_EV, _MOST_HIGHLIGHTS, _MOST_SHADOWS = 200, 100, 60
_DULL, _DULLEST, _VIBRANCE_MAX = 9, 4, 60  # mean chroma that calls for vibrance

# The light of good photographs is a little warm and green to the estimators; that is no cast. In EV.
# Dull pictures have less of it, pictures without colour none.
_USUAL_WARM, _USUAL_GREEN = 0.41, 0.115
_WARM_FREE, _GREEN_FREE = 0.23, 0.20  # departures from the usual that are left alone
_CAST_SHARE = 0.75  # of what is beyond them, this much is taken out
_SURE, _UNSURE = 0.1, 1.5  # spread of the estimators, from full to no correction


class _Second(NamedTuple):
    """How far it is seconded that a picture has too little light, 0..1, and what to say of it."""

    share: float = 1.0
    said: str = ""


def choose_by_rules(analysis: Analysis, prediction: Prediction | None = None) -> AutoResult:
    """Choose sliders for a picture; zero for what is good already.

    Parameters
    ----------
    analysis : Analysis
    prediction : Prediction | None
        What the model says of the same proxy. It counts in black and white only: light is added as far as the model
        finds too little of it likely, too, and taken off where either finds too much.

    Returns
    -------
    AutoResult
    """
    second = _second(analysis, prediction)
    blacks, black_step = _black_point(analysis)
    exposure, white_step = _white_point(analysis, blacks, second)
    darker, darker_step = _too_bright(analysis, prediction)
    darker_exposure, highlights, darker_shadows = darkened(darker, analysis.blown)
    shadows, shadows_step = _dark_middle(analysis, exposure, second)
    temperature, tint, sureness, balance_step = _white_balance(analysis)
    vibrance, vibrance_step = _dullness(analysis, blacks, exposure)
    adjustments = Adjustments(
        exposure=round(exposure + darker_exposure, 2),
        highlights=highlights,
        shadows=round(shadows) + darker_shadows,
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


def darkened(gain: float, blown: float) -> tuple[float, int, int]:
    """Share a gain among sliders: what darkens beyond a little is the highlights' and shadows', which hold white.

    Parameters
    ----------
    gain : float
        EV; above 0 it is all exposure.
    blown : float
        Share of the pixels that are white, 0..1: the more, the less exposure may take from them.

    Returns
    -------
    exposure : float
        EV, -0.33 at least.
    highlights, shadows : int
        -100..0 and -60..0.
    """
    exposure = max(gain, -_DARKER_WHITE + (_DARKER_WHITE - _DARKEST_WHITE) * ramp(blown, *_BLOWN))
    bent = exposure - gain  # EV that the bend of the tones stands for, as near as it comes below white
    highlights = -round(min(_PER_EV * bent, _MOST_HIGHLIGHTS))
    return exposure, highlights, -round(float(np.clip(_PER_EV * bent - _MOST_HIGHLIGHTS, 0, _MOST_SHADOWS)))


def _is_grey(analysis: Analysis) -> bool:
    return analysis.chroma_90 < MONOCHROME


def _second(analysis: Analysis, prediction: Prediction | None) -> _Second:
    if prediction is None or not _is_grey(analysis):
        return _Second()
    probability = prediction.faults["under"].probability
    share, not_meant = ramp(probability, *_BELIEVED), ramp(analysis.brightest[_GREY_WHITE], *_NOT_MEANT)
    if not_meant > share:
        return _Second(not_meant, f", too little light is {not_meant:.0%} likely by the whites")
    return _Second(share, f", too little light is {probability:.0%} likely")


def _black_point(analysis: Analysis) -> tuple[float, Step]:
    darkest = analysis.luma[0.5]
    veil = ramp(darkest, _BLACK + 0.04, _BLACK_TOO_HIGH) * (1 - analysis.high_key)
    lift = max(linear_value(darkest) - linear_value(_BLACK), 0) * veil
    blacks = -min(encoded_value(lift) / 0.0035, 100)
    if analysis.on_white and blacks <= -2:
        return 0.0, Step("black_point", False, f"The darkest 0.5 % are at {darkest:.0%}, on white ground: left.")
    if blacks > -2:
        return 0.0, Step("black_point", False, f"The darkest 0.5 % are at {darkest:.0%}: dark enough.")
    return blacks, Step("black_point", True, f"The darkest 0.5 % are at {darkest:.0%}: a veil is taken off.")


def _white_point(analysis: Analysis, blacks: float, second: _Second) -> tuple[float, Step]:
    """Light to make the brightest tones white."""
    percent, low, too_low = _WHITE, _WHITE_LOW, _WHITE_TOO_LOW
    if _is_grey(analysis):
        percent, low, too_low = _GREY_WHITE, _GREY_WHITE_LOW, _GREY_WHITE_TOO_LOW
    brightest = analysis.brightest[percent]
    black = linear_value(-0.0035 * blacks)
    lack = ramp(brightest, low, too_low) * (1 - analysis.night)
    wanted = (linear_value(WHITE) - black) / max(linear_value(brightest) - black, 1e-3)
    lacking = float(np.log2(max(wanted, 1)) * lack)
    gain = lacking * second.share
    reason = f"The brightest {100 - percent:.1f} % are at {brightest:.0%}"
    if lacking < 0.05:
        return 0.0, Step("white_point", False, f"{reason}: bright enough.")
    if gain < 0.05:
        return 0.0, Step("white_point", False, f"{reason}{second.said}: left.")
    gain = min(gain, 3.0)
    return gain, Step("white_point", True, f"{reason}{second.said}: {gain:+.2f} EV.")


def _too_bright(analysis: Analysis, prediction: Prediction | None) -> tuple[float, Step]:
    middle, clipped = analysis.luma[50], analysis.clipped_high
    excess = ramp(middle, *_BRIGHT_MIDDLE) * ramp(clipped, *_MUCH_CLIPPED) * ramp(analysis.luma[5], *_BRIGHT_DARKS)
    darker = -OVER_MAX * excess * (1 - 0.7 * analysis.high_key)
    reason = f"The middle tone is at {middle:.0%}, {clipped:.1%} of the pixels are full"
    if prediction is not None and _is_grey(analysis):
        probability, amount = prediction.faults["over"]
        darker = min(darker, max(amount, -OVER_MAX) * ramp(probability, *_BELIEVED))
        reason += f", too much light is {probability:.0%} likely"
    if darker > -0.05:
        return 0.0, Step("overexposure", False, f"{reason}: not too bright.")
    if analysis.on_white:
        return 0.0, Step("overexposure", False, f"{reason}: white is the ground.")
    return darker, Step("overexposure", True, f"{reason}: {darker:+.2f} EV.")


def _dark_middle(analysis: Analysis, exposure: float, second: _Second) -> tuple[float, Step]:
    """Shadows up where whites are right but most of the picture is dark."""
    middle = encoded_value(min(linear_value(analysis.luma[50]) * 2**exposure, 1))
    lack = ramp(middle, 0.32, 0.15) * (1 - analysis.night)
    lacking = 40 * lack
    shadows = lacking * second.share
    reason = f"The middle tone comes to {middle:.0%}"
    if lacking < 3:
        return 0.0, Step("dark_middle", False, f"{reason}: no need.")
    if shadows < 3:
        return 0.0, Step("dark_middle", False, f"{reason}{second.said}: left.")
    return shadows, Step("dark_middle", True, f"{reason}{second.said}: shadows {shadows:+.0f}.")


def _white_balance(analysis: Analysis) -> tuple[float, float, float, Step]:
    if _is_grey(analysis):
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
    temperature = -float(np.clip(_outside_deadband(warm, _WARM_FREE) * _CAST_SHARE * move / 0.016, -50, 50))
    tint = float(np.clip(_outside_deadband(green, _GREEN_FREE) * _CAST_SHARE * move / 0.008, -30, 30))
    if max(abs(temperature), abs(tint)) < 2:
        return 0.0, 0.0, sureness, Step("white_balance", False, f"{seen}: left.")
    return temperature, tint, sureness, Step("white_balance", True, f"{seen}: moved part of the way.")


def _outside_deadband(value: float, dead: float) -> float:
    """Keep of a value what lies outside of -dead..dead."""
    return value - float(np.clip(value, -dead, dead))


def _dullness(analysis: Analysis, blacks: float, exposure: float) -> tuple[float, Step]:
    """Vibrance where colours stay weak once the tones are stretched."""
    chroma = analysis.chroma_mean * 2 ** (exposure / 2.4) / (1 + 0.0035 * blacks)
    vibrance = _VIBRANCE_MAX * ramp(chroma, _DULL, _DULLEST) * (not _is_grey(analysis))
    if vibrance < 3:
        return 0.0, Step("vibrance", False, f"Mean chroma comes to {chroma:.0f}: colourful enough.")
    return vibrance, Step("vibrance", True, f"Mean chroma comes to {chroma:.0f}: vibrance {vibrance:+.0f}.")
