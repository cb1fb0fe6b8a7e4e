"""Choosing the sliders by what the learned model says of a picture."""

import math
from dataclasses import replace
from typing import Any

import numpy as np

from studio.tone_mapping.adjustments import Adjustments
from studio.tone_mapping.analyse import Analysis
from studio.tone_mapping.auto_result import AutoResult, Step
from studio.tone_mapping.auto_rules import OVER_MAX, WHITE, darkened
from studio.tone_mapping.colour import linear_value, ramp
from studio.tone_mapping.grade import grade
from studio.tone_mapping.learned import FAULTS, Prediction, RawSliders

# Probability of a fault, from where on it is mended, and from where wholly: of tones and saturation, and of the light.
# training/README.md tells how they were chosen.
_LIKELY, _LIKELY_CAST = (0.4, 0.8), (0.3, 0.8)
_CASTS = ("warm", "cool", "green", "magenta")
# Saturation for that which the forests tell: they draw amounts towards their mean.
_MORE_COLOUR = 1.2
# Probability of a picture that is good as it is, from where on less of its faults is mended, and from where nothing.
_GOOD = (0.5, 0.8)
# Probability of a camera that was set to another light, from where on what takes that back is taken, and wholly. Cool
# ones are believed sooner, unless the picture is likely good: many a good photograph is as warm as one under a wrong
# light, by lamplight, in the evening or on film, but few are as cool.
_WRONG_LIGHT = {"warm_light": (0.55, 0.85), "cool_light": (0.4, 0.8)}
_CONTRAST_MOST = 60
_PAST_DARKEST = 1.15  # of the darkest tone, the black point at most: the toe leaves some of what lies there
_WHITE_LIGHT, _MUCH_BLOWN = 0.8, (0.02, 0.1)  # share of the balance that much white takes away

# How a picture comes out, from where on a finish is added, and where wholly: the brightest 0.5 % and the deviation of
# the encoded tones, the mean chroma, the probability of being good as it was.
_DIM, _FLAT, _PALE, _PLAIN = (0.92, 0.85), (0.19, 0.14), (15, 9), (0.3, 0.12)
# What a whole one adds, besides black and white: contrast, shadows for what that takes from them, and EV at most.
_FINISH_CONTRAST, _FINISH_SHADOWS, _FINISH_LIGHT = 50, 60, 1.0


def choose_by_model(analysis: Analysis, prediction: Prediction) -> AutoResult:
    """Choose sliders for a picture by what the model says of it; zero for what is good already.

    Parameters
    ----------
    analysis : Analysis
    prediction : Prediction
        Of the same proxy.

    Returns
    -------
    AutoResult
    """
    raw = likely_corrections(prediction)
    if analysis.on_white:  # which is no sky that too much light took; nor need there be any black on it
        raw = raw._replace(gain=max(raw.gain, 0), blacks=0)
    chosen = to_adjustments(raw, analysis.blown, analysis.luma[0.5])
    share, seen = _unfinished(chosen, analysis, prediction.good_probability)
    adjustments = add_finish(chosen, analysis, share)
    added = {
        slider: round(getattr(adjustments, slider) - getattr(chosen, slider), 2)
        for slider in ("exposure", "contrast", "shadows", "blacks")
    }
    probability = _probabilities(prediction)
    likeliest = max(probability, key=lambda fault: probability[fault])
    steps = (
        *_steps(chosen, analysis, prediction),
        _step("finish", seen, added),
        Step(
            "already_good",
            adjustments == Adjustments(),
            f"The likeliest of all faults ({likeliest}) is {probability[likeliest]:.0%} likely, "
            f"that the picture is good as it is {prediction.good_probability:.0%}.",
        ),
    )
    # Of the decision that is least sure: a fault that is as probable as not is a guess.
    lights = (light.probability for light in prediction.lights.values())
    sureness = min(max(yes, 1 - yes) for yes in (*probability.values(), *lights))
    return AutoResult(adjustments, confidence=round(sureness, 2), steps=steps)


def _probabilities(prediction: Prediction) -> dict[str, float]:
    return {fault: found.probability for fault, found in prediction.faults.items()}


def _steps(chosen: Adjustments, analysis: Analysis, prediction: Prediction) -> list[Step]:
    """Say why the sliders were chosen, a step a kind of fault."""
    white, middle = analysis.brightest[99.5], analysis.luma[50]
    warm, green, chroma = analysis.cast.warm, analysis.cast.green, analysis.chroma_mean
    probability = _probabilities(prediction)
    likely = {fault: f"{of_it:.0%} likely" for fault, of_it in probability.items()}
    ground = ", but white is the ground" if analysis.on_white else ""
    return [
        _step(
            "black_point",
            f"The darkest 0.5 % are at {analysis.luma[0.5]:.0%}, a veil is {likely['veiled']}{ground}",
            {"blacks": chosen.blacks},
        ),
        _step(
            "white_point",
            f"The brightest 0.5 % are at {white:.0%}, the middle tone at {middle:.0%}, "
            f"too little light is {likely['under']}",
            {"exposure": max(chosen.exposure, 0.0)},
        ),
        _step(
            "overexposure",
            f"The middle tone is at {middle:.0%}, {analysis.clipped_high:.1%} of the pixels are full, "
            f"too much light is {likely['over']}{ground}",
            {
                "exposure": min(chosen.exposure, 0.0),
                "highlights": chosen.highlights,
                "shadows": chosen.shadows,
            },
        ),
        _step(
            "white_balance",
            f"The light is {warm:+.2f} EV warm, {green:+.2f} EV green; {_told_casts(chosen, probability)}, "
            f"that the camera was set to another light "
            f"{max(light.probability for light in prediction.lights.values()):.0%}",
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
    ]


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


def _step(name: str, seen: str, sliders: dict[str, float]) -> Step:
    moved = ", ".join(f"{slider} {value:+g}" for slider, value in sliders.items() if value)
    return Step(name, bool(moved), f"{seen}: {moved or 'left'}.")


def likely_corrections(prediction: Prediction) -> RawSliders:
    """Take what mends the faults that a picture likely has, each by its own probability, unless it is likely good.

    A two-part ("hurdle") model (Cragg 1971): whether, then how much. Where the camera was surely set to another light,
    temperature and tint are what takes that back, of a warm one even where the picture is likely good.

    Parameters
    ----------
    prediction : Prediction

    Returns
    -------
    RawSliders
        0 for a fault that the picture likely lacks, and for all where it is likely good; held to no range.
    """
    sliders = RawSliders()._asdict()
    doubt = 1 - ramp(prediction.good_probability, *_GOOD)
    for fault, slider in FAULTS.items():
        probability, amount = prediction.faults[fault]
        likely = _LIKELY_CAST if fault in _CASTS else _LIKELY
        sliders[slider] += doubt * ramp(probability, *likely) * amount
    sliders["saturation"] *= _MORE_COLOUR
    for name, light in prediction.lights.items():
        wrong = ramp(light.probability, *_WRONG_LIGHT[name])
        if name == "cool_light":
            wrong *= doubt
        sliders["temperature"] += wrong * (light.temperature - sliders["temperature"])
        sliders["tint"] += wrong * (light.tint - sliders["tint"])
    return RawSliders(**sliders)


def to_adjustments(raw: RawSliders, blown: float = 0.0, darkest: float = 1.0) -> Adjustments:
    """Turn raw sliders into those of a grade; the gain is shared as `darkened` does.

    Parameters
    ----------
    raw : RawSliders
    blown : float
        Share of the pixels that are white, 0..1: the more, the less the light is balanced, for they stay white and
        show an edge.
    darkest : float
        Encoded luminance that next to no pixel lies below, 0..1: the black point hardly passes it.

    Returns
    -------
    Adjustments
        Exposure -0.33..3.5, temperature within 100, tint within 80, saturation -40..100, contrast 0..60.
    """
    blacks = round(float(np.clip(raw.blacks, -min(_PAST_DARKEST * darkest / 0.0035, 100), 0)))
    gain = float(np.clip(raw.gain, -OVER_MAX, 3.5))
    exposure, highlights, shadows = darkened(gain, blown)
    balance = 1 - _WHITE_LIGHT * ramp(blown, *_MUCH_BLOWN)
    return Adjustments(
        exposure=round(exposure, 2),
        contrast=round(float(np.clip(raw.contrast, 0, _CONTRAST_MOST))),
        highlights=highlights,
        shadows=shadows,
        blacks=blacks,
        temperature=round(float(np.clip(balance * raw.temperature, -100, 100))),
        tint=round(float(np.clip(balance * raw.tint, -80, 80))),
        saturation=round(float(np.clip(raw.saturation, -40, 100))),
    )


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


def add_finish(chosen: Adjustments, analysis: Analysis, share: float) -> Adjustments:
    """Add what people give dull, flat pictures: black and white, contrast, and light in the shadows.

    Parameters
    ----------
    chosen : Adjustments
    analysis : Analysis
        Of the picture before them. What is added takes the black point to its darkest half percent at most.
    share : float
        Of the whole finish, 0..1.

    Returns
    -------
    Adjustments
    """
    lack = max(min(analysis.luma[0.5] / 0.0035, 100) + chosen.blacks, 0)
    deep = replace(chosen, blacks=chosen.blacks - float(round(share * lack)))
    (white,) = _toned([analysis.brightest[99.5]], deep)
    brighter = float(np.clip(np.log2(linear_value(WHITE) / max(linear_value(white), 1e-3)), 0, _FINISH_LIGHT))
    return replace(
        deep,
        exposure=round(deep.exposure + share * brighter, 2),
        contrast=min(deep.contrast + round(share * _FINISH_CONTRAST), 100),
        shadows=min(deep.shadows + round(share * _FINISH_SHADOWS), 100),
    )


def _toned(codes: Any, adjustments: Adjustments) -> Any:
    """Grade greys, but for the balance."""
    greys = np.repeat(np.array(codes, np.float32)[:, None], 3, axis=1)
    return grade(greys, replace(adjustments, temperature=0.0, tint=0.0))[:, 0]
