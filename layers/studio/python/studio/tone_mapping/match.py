"""Shot matching: sliders that make a picture look like another one.

Two pictures are compared by the percentiles of their tones, by the colour of the dark, the middle and the bright third,
and by their mean chroma. A third's colour is mostly that of its greyest pixels: those take on the light and the look,
while the rest also says what the picture shows. The sliders are found by damped least squares on a sample of pixels,
with a price on every slider and a bound on what one statistic may pull. Where the colours still differ after the fit,
the pictures show different things, and only a part of the sliders is kept.

References
----------
Levenberg, K. (1944). A method for the solution of certain non-linear problems in least squares. Quarterly of Applied
Mathematics, 2(2), 164-168, and Marquardt, D. (1963). An algorithm for least-squares estimation of nonlinear parameters.
Journal of the SIAM, 11(2), 431-441: the fit.
Huber, P. J. (1964). Robust estimation of a location parameter. Annals of Mathematical Statistics, 35(1), 73-101: the
bound on what one statistic pulls.
Reinhard, E., Ashikhmin, M., Gooch, B. and Shirley, P. (2001). Color transfer between images. IEEE Computer Graphics and
Applications, 21(5), 34-41: that statistics in an opponent space carry a look.
"""

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from studio.tone_mapping.adjustments import Adjustments
from studio.tone_mapping.analyse import MONOCHROME
from studio.tone_mapping.auto_result import AutoResult, Step
from studio.tone_mapping.colour import Array, ramp, to_lab, to_linear
from studio.tone_mapping.grade import grade_light

_SAMPLE = 510  # pixels that the sliders are fitted on; a multiple of three
_MEASURED = 1 << 15  # pixels that a picture is measured on, at most
_PERCENTS = np.array([1, 5, 25, 50, 75, 95, 99])
_MIDDLE = 3  # of _PERCENTS
_GREYNESS = 5.0  # how fast pixels lose their say on a third's colour, by chroma over the third's mean
_MEAN_WEIGHT = 0.7  # of the mean colour of a third beside that

_TONE = ("exposure", "contrast", "highlights", "shadows", "whites", "blacks")
_COLOUR = ("temperature", "tint", "saturation")
_BOUNDS = dict.fromkeys((*_TONE, *_COLOUR), 100.0) | {"exposure": 4.0, "temperature": 60.0, "tint": 60.0}
# What a slider at its bound costs: as much as one statistic that is off by so many units of CIELAB. Light is seldom
# green or magenta, pictures often are.
_PRICES = dict.fromkeys(_TONE, 8.0) | {"temperature": 2.5, "tint": 6.0, "saturation": 3.0}
_ROBUST = 8.0  # units of CIELAB beyond which a statistic pulls no harder
_ROUNDS = 8
_STEP = 0.02  # of a bound: the differences that the Jacobian is made of
_ENOUGH = 1e-3  # share of the cost below which a round's gain ends the fit

# How far colours are off once fitted, as a share of the reference's chroma: 104 of 110 pairs of a photograph and itself
# graded are below the first, 72 pairs of different photographs are above it, half of them above 0.34.
_ALIKE, _UNLIKE = 0.12, 0.3
_CHROMA = (15, 30)  # bounds of what the share is of
_LEAST_TONE, _LEAST_COLOUR = 0.5, 0.3  # share of the sliders that is kept where pictures show different things
# None is kept there of what takes white and black away: a reference may lack them for what it shows.
_VEILING = {"contrast": -1, "whites": -1, "blacks": 1}


class _Measured(NamedTuple):
    """A picture in numbers.

    Attributes
    ----------
    statistics : ndarray
        Of the whole of it, see `_statistics`.
    sample : ndarray of float32
        (3, n) display-encoded planes, red first: evenly through the order of lightness.
    is_monochrome : bool
    """

    statistics: Array
    sample: Array
    is_monochrome: bool


def match(proxy: NDArray[Any], reference_proxy: NDArray[Any]) -> AutoResult:
    """Choose sliders that make one picture look like another.

    Parameters
    ----------
    proxy : ndarray
        (h, w, 3) BGR, uint8 or uint16: the picture that is to be graded, a proxy's size.
    reference_proxy : ndarray
        The same of the picture that it is to look like.

    Returns
    -------
    AutoResult
        Its confidence is how far both seem to show the same.
    """
    own, reference = _measure(proxy), _measure(reference_proxy)
    loses_colour = reference.is_monochrome and not own.is_monochrome
    rest = Adjustments(saturation=-100.0 if loses_colour else 0.0)
    has_colours = not (own.is_monochrome or reference.is_monochrome)
    # The sample differs a little from its picture: the goal is moved by as much.
    at_rest = _statistics(_lab(own.sample))
    goal = at_rest + reference.statistics - own.statistics
    fitted = _fit(own.sample, goal, rest, (*_TONE, *_COLOUR) if has_colours else _TONE)
    unlike = _unlikeness(own.sample, fitted, reference.sample)
    difference = ramp(unlike, _ALIKE, _UNLIKE)
    tone, colour = 1 - (1 - _LEAST_TONE) * difference, 1 - (1 - _LEAST_COLOUR) * difference
    values = {name: getattr(fitted, name) * tone for name in _TONE}
    for name, way in _VEILING.items():
        if values[name] * way > 0:
            values[name] = getattr(fitted, name) * (1 - difference)
    if has_colours:
        values |= {name: getattr(fitted, name) * colour for name in _COLOUR}
    # 0 is added since a rounded -0.4 is -0.0.
    rounded = {name: round(value, 2 if name == "exposure" else 0) + 0.0 for name, value in values.items()}
    adjustments = replace(rest, **rounded)
    return AutoResult(
        adjustments,
        confidence=round(1 - 0.6 * difference, 2),
        steps=(
            _tone_step(own, reference, adjustments),
            _balance_step(own, reference, adjustments),
            _saturation_step(own, reference, adjustments),
            Step(
                "content",
                difference > 0,
                f"Once fitted, the colours are {unlike:.0%} of the reference's chroma off its own: {tone:.0%} of the "
                f"tone sliders and {colour:.0%} of the colour sliders are kept.",
            ),
        ),
    )


def _measure(proxy: NDArray[Any]) -> _Measured:
    stride = int(np.ceil(np.sqrt(proxy.shape[0] * proxy.shape[1] / _MEASURED)))
    pixels = proxy[::stride, ::stride].reshape(-1, 3)[:, ::-1]
    planes = np.ascontiguousarray(pixels.T.astype(np.float32) / np.iinfo(proxy.dtype).max)
    if planes.shape[1] < _SAMPLE:  # a tiny picture: its pixels several times
        planes = np.tile(planes, -(-_SAMPLE // planes.shape[1]))
    lab = _lab(planes)
    order = np.argsort(lab[0], kind="stable")
    taken = order[((np.arange(_SAMPLE) + 0.5) / _SAMPLE * len(order)).astype(int)]
    chroma = np.hypot(lab[1], lab[2])
    return _Measured(_statistics(lab), planes[:, taken], bool(np.percentile(chroma, 90) < MONOCHROME))


def _lab(planes: Array) -> Array:
    """CIELAB planes of display-encoded ones, (3, n)."""
    return to_lab(to_linear(planes))


def _statistics(lab: Array) -> Array:
    """Measure CIELAB planes: percentiles of lightness, a and b of the thirds by grey pixels and by all, mean chroma.

    All of it moves smoothly with the sliders, which the fit relies on.
    """
    order = np.argsort(lab[0], kind="stable")
    tones = lab[0, order[np.rint(_PERCENTS / 100 * (len(order) - 1)).astype(int)]]
    colours = lab[1:, order[: len(order) // 3 * 3]].reshape(2, 3, -1)
    chroma = np.hypot(*colours)
    weights = np.exp(-_GREYNESS * chroma / (chroma.mean(1, keepdims=True) + 1))
    greys = (colours * weights).sum(2) / weights.sum(1)
    means = _MEAN_WEIGHT * colours.mean(2)
    statistics: Array = np.concatenate([tones, greys.ravel(), means.ravel(), [chroma.mean()]]).astype(np.float64)
    return statistics


def _fit(sample: Array, goal: Array, rest: Adjustments, names: tuple[str, ...]) -> Adjustments:
    """Find the sliders under which the sample's statistics come to the goal, starting at `rest`."""
    linear = to_linear(sample)
    bounds = np.array([_BOUNDS[name] for name in names])
    prices = np.array([_PRICES[name] for name in names]) ** 2

    def sliders(shares: Array) -> Adjustments:
        return replace(rest, **dict(zip(names, (shares * bounds).tolist(), strict=True)))

    def errors(shares: Array) -> Array:
        return _statistics(_lab(grade_light(linear, sliders(shares)))) - goal

    def cost(error: Array, shares: Array) -> float:
        size = np.abs(error)
        pulls = np.where(size <= _ROBUST, size**2, 2 * _ROBUST * size - _ROBUST**2)
        return float(pulls.sum() + prices @ shares**2)

    shares: Array = np.zeros(len(names))
    error = errors(shares)
    best, damping = cost(error, shares), 0.5
    for _ in range(_ROUNDS):
        steps = np.diag(np.where(shares < 0, _STEP, -_STEP))  # inwards, so that no slider passes its bound
        jacobian = np.stack([(errors(shares + step) - error) / step.sum() for step in steps], axis=1)
        weights = np.minimum(1, _ROBUST / np.maximum(np.abs(error), 1e-9))
        normal = jacobian.T @ (weights[:, None] * jacobian) + np.diag(prices)
        slope = jacobian.T @ (weights * error) + prices * shares
        tried = np.clip(shares - np.linalg.solve(normal + damping * np.diag(np.diag(normal)), slope), -1, 1)
        tried_error = errors(tried)
        gain = best - cost(tried_error, tried)
        if gain <= 0:
            damping *= 8
            continue
        shares, error, best, damping = tried, tried_error, best - gain, damping / 8
        if gain < _ENOUGH * best:
            break
    return sliders(shares)


def _unlikeness(sample: Array, fitted: Adjustments, reference: Array) -> float:
    """Tell how far the colours of each third are from the reference's: as a share of its chroma.

    Of a and b in four directions: the sliced 1-Wasserstein distance (Bonneel et al., 2015, Journal of Mathematical
    Imaging and Vision 51, 22-45).
    """
    graded, wanted = _lab(grade_light(to_linear(sample), fitted)), _lab(reference)
    apart = np.abs(_slices(graded) - _slices(wanted)).mean()
    return float(apart / np.clip(np.hypot(*wanted[1:]).mean(), *_CHROMA))


def _slices(lab: Array) -> Array:
    """Project the colours of each third by lightness on four directions, and sort them."""
    ordered = lab[1:, np.argsort(lab[0], kind="stable")]
    angles = np.arange(4) * np.pi / 4
    projected = np.stack([np.cos(angles), np.sin(angles)], axis=1) @ ordered
    return np.sort(projected.reshape(4, 3, -1), axis=2)


def _moved(adjustments: Adjustments, names: tuple[str, ...]) -> str:
    """Name the sliders that are not at rest."""
    values = {name: getattr(adjustments, name) for name in names}
    return ", ".join(f"{name} {value:+g}" for name, value in values.items() if value)


def _tone_step(own: _Measured, reference: _Measured, adjustments: Adjustments) -> Step:
    was, wanted = own.statistics, reference.statistics
    reason = (
        f"Lightness is {was[1]:.0f} to {was[5]:.0f} about {was[_MIDDLE]:.0f}, "
        f"the reference's {wanted[1]:.0f} to {wanted[5]:.0f} about {wanted[_MIDDLE]:.0f}"
    )
    moved = _moved(adjustments, _TONE)
    return Step("tone", bool(moved), f"{reason}: {moved or 'left'}.")


def _balance_step(own: _Measured, reference: _Measured, adjustments: Adjustments) -> Step:
    if own.is_monochrome or reference.is_monochrome:
        return Step("white_balance", False, "One of both is black and white: no light to compare.")
    size = len(_PERCENTS)
    red, yellow = (reference.statistics - own.statistics)[size : size + 6].reshape(2, 3).mean(1)
    moved = _moved(adjustments, ("temperature", "tint"))
    reason = f"The reference's greys are {red:+.1f} in a* and {yellow:+.1f} in b* of the picture's"
    return Step("white_balance", bool(moved), f"{reason}: {moved or 'left'}.")


def _saturation_step(own: _Measured, reference: _Measured, adjustments: Adjustments) -> Step:
    moved = _moved(adjustments, ("saturation",))
    reason = f"Mean chroma is {own.statistics[-1]:.0f}, the reference's {reference.statistics[-1]:.0f}"
    return Step("saturation", bool(moved), f"{reason}: {moved or 'left'}.")
