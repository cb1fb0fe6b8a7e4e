"""Faults by gradient-boosted trees: statistics of the proxy in, the probability of each fault and what mends it out.

`training/` makes the model; `training/README.md` says how well it does and what it lacks.
"""

import math
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from studio.tone_mapping.colour import Array, luminance, sorted_values, to_encoded, to_lab, to_linear
from studio.tone_mapping.light_map import describe, histograms, spectra


class RawSliders(NamedTuple):
    """What mends a picture's faults; `gain` is in EV: exposure, and what darkens by highlights and shadows."""

    gain: float = 0.0
    blacks: float = 0.0
    temperature: float = 0.0
    tint: float = 0.0
    saturation: float = 0.0
    contrast: float = 0.0


SLIDERS = RawSliders._fields
# What the model tells: of every fault the log-odds that the picture has it, and the amount of its slider that mends it
# then; of a warm and of a cool light the log-odds that the camera was set wrong and made it, and the balance that takes
# it back then; last the log-odds that the picture is good as it is.
FAULTS = {
    "over": "gain",
    "under": "gain",
    "veiled": "blacks",
    "warm": "temperature",
    "cool": "temperature",
    "green": "tint",
    "magenta": "tint",
    "pale": "saturation",
    "flat": "contrast",
}
LIGHTS = ("warm_light", "cool_light")
_BALANCES = tuple(f"{light}_{slider}" for light in LIGHTS for slider in ("temperature", "tint"))
OUTPUTS = (*FAULTS, *(f"{fault}_amount" for fault in FAULTS), *LIGHTS, *_BALANCES, "good")

MODEL_FILE = Path(__file__).with_name("auto_model.npy")

_PERCENTS = (0.1, 0.5, 1, 2, 5, 10, 15, 20, 30, 40, 50, 60, 70, 80, 85, 90, 95, 98, 99, 99.5, 99.9)
_FEW = (0.5, 5, 25, 50, 75, 95, 99.5)
_BANDS = (0.0, 10.0, 25.0, 40.0, 55.0, 70.0, 85.0, 101.0)  # of CIELAB lightness
_STEP = np.float32(1.5 / 255)
_LEAST_SIDE = 16
_TINY = np.float32(1e-4)


class Model(NamedTuple):
    """Trees of every output, one after another, each with its nodes and its leaves in pre-order.

    So the left branch of a node comes next, and the right one after what is in the left: no indexes are kept, and the
    file is read without being unpacked.

    Attributes
    ----------
    output : ndarray of int16
        Which of `OUTPUTS` each tree adds to.
    size : ndarray of uint8
        How many nodes each tree has; it has one leaf more.
    feature, threshold : ndarray of int16 and float32
        A node sends a picture left where its feature is at most the threshold.
    left_size : ndarray of uint8
        How many nodes the left branch of a node has.
    leaf : ndarray of float32
        What each leaf adds.
    filters : ndarray of float32
        Of `light_map`.
    """

    output: NDArray[np.int16]
    size: NDArray[np.uint8]
    feature: NDArray[np.int16]
    threshold: Array
    left_size: NDArray[np.uint8]
    leaf: Array
    filters: Array


class Fault(NamedTuple):
    """How probable it is that a picture has a fault, 0..1, and the amount of the slider that mends it then."""

    probability: float
    amount: float


class WrongLight(NamedTuple):
    """How probable it is that a camera was set to another light, 0..1, and the sliders that take it back then."""

    probability: float
    temperature: float
    tint: float


class Prediction(NamedTuple):
    """What the model says of a picture.

    Attributes
    ----------
    faults : dict of str to Fault
        By their names in `FAULTS`.
    lights : dict of str to WrongLight
        By their names in `LIGHTS`: one that makes the picture warm, and one that makes it cool.
    good_probability : float
        That the picture is good as it is, 0..1.
    """

    faults: dict[str, Fault]
    lights: dict[str, WrongLight]
    good_probability: float


@lru_cache(maxsize=1)
def load_model() -> Model:
    """Read the model, once: one record, for an archive of arrays takes three times as long."""
    record = np.load(MODEL_FILE, allow_pickle=False)
    return Model(**{name: record[name] for name in Model._fields})


def predict(proxy: NDArray[Any]) -> Prediction | None:
    """Predict what is wrong with a picture, from its proxy.

    Parameters
    ----------
    proxy : ndarray
        (h, w, 3) BGR, uint8 or uint16, as `make_proxy` makes it.

    Returns
    -------
    Prediction | None
        None where a side has fewer than 16 pixels: too few for statistics.
    """
    if min(proxy.shape[:2]) < _LEAST_SIDE:
        return None
    model = load_model()
    return as_prediction(evaluate(model, statistics(proxy, model.filters)))


def as_prediction(sums: NDArray[np.float64]) -> Prediction:
    """Name the model's sums, in the order of `OUTPUTS`.

    Parameters
    ----------
    sums : ndarray of float64
        (n,): probabilities as log-odds, amounts as `RawSliders` has them.

    Returns
    -------
    Prediction
    """
    told = dict(zip(OUTPUTS, sums.tolist(), strict=True))
    return Prediction(
        faults={fault: Fault(_sigmoid(told[fault]), told[f"{fault}_amount"]) for fault in FAULTS},
        lights={
            light: WrongLight(_sigmoid(told[light]), told[f"{light}_temperature"], told[f"{light}_tint"])
            for light in LIGHTS
        },
        good_probability=_sigmoid(told["good"]),
    )


def _sigmoid(log_odds: float) -> float:
    return 1 / (1 + math.exp(-log_odds))


def evaluate(model: Model, row: Array) -> NDArray[np.float64]:
    """Sum every output's trees for one picture: all trees go down one level at a time.

    Parameters
    ----------
    model : Model
    row : ndarray of float32
        (n,), of `statistics`.

    Returns
    -------
    ndarray of float64
        In the order of `OUTPUTS`.
    """
    size = model.size.astype(np.intp)  # of the branch that is left of each tree
    node = np.cumsum(size) - size  # the first one of that branch
    leaf = node + np.arange(len(size))
    going = np.flatnonzero(size)
    while going.size:
        at = node[going]
        left_size = model.left_size[at].astype(np.intp)
        is_right = row[model.feature[at]] > model.threshold[at]
        node[going] = at + 1 + np.where(is_right, left_size, 0)
        leaf[going] += np.where(is_right, left_size + 1, 0)
        size[going] = np.where(is_right, size[going] - 1 - left_size, left_size)
        going = going[size[going] > 0]
    return np.bincount(model.output, model.leaf[leaf], len(OUTPUTS)).astype(np.float64)


def statistics(proxy: NDArray[Any], filters: Array) -> Array:
    """Describe a proxy in numbers, and how probable each light is in it.

    Parameters
    ----------
    proxy : ndarray
        (h, w, 3) BGR, uint8 or uint16, as `make_proxy` makes it.
    filters : ndarray of float32
        Of `light_map`.

    Returns
    -------
    ndarray of float32
        (n,): `features`, then `light_map.describe`.
    """
    of_light = describe(spectra(histograms(proxy)[None]), filters)[0]
    return np.concatenate([features(proxy), of_light])


def features(proxy: NDArray[Any]) -> Array:
    """Describe a proxy in numbers, always as many and in the same order, all finite.

    Parameters
    ----------
    proxy : ndarray
        (h, w, 3) BGR, uint8 or uint16, as `make_proxy` makes it.

    Returns
    -------
    ndarray of float32
        (n,).
    """
    # A quarter of the pixels gives the same statistics.
    encoded = proxy[::2, ::2].astype(np.float32) / np.float32(np.iinfo(proxy.dtype).max)
    blue, green, red = cv2.split(encoded)
    rgb = np.stack([red, green, blue])
    linear = to_linear(rgb)
    light = luminance(linear)
    luma = to_encoded(light)
    largest, smallest = np.maximum(np.maximum(red, green), blue), np.minimum(np.minimum(red, green), blue)
    lightness, a, b = to_lab(linear)
    chroma = np.sqrt(a * a + b * b)
    parts = [
        _tones(rgb, luma, largest, smallest),
        _clipping(rgb, luma, largest, smallest),
        _stretched(light, linear),
        _chromas(chroma, a, b, largest, smallest),
        _bands(lightness, a, b, chroma),
        _places(luma, a, b),
        _lights(linear, luma, largest),
        _detail(luma),
        _plateaus(rgb, luma),
        _ratios(linear, luma, largest),
    ]
    row = np.concatenate([np.asarray(part, np.float32) for part in parts])
    return np.nan_to_num(row, nan=0, posinf=1e6, neginf=-1e6)


def _percentiles(values: NDArray[Any], percents: tuple[float, ...]) -> Array:
    ordered = sorted_values(values)
    at = np.rint(np.array(percents) / 100 * (ordered.size - 1)).astype(np.intp)
    taken: Array = ordered[at]
    return taken


def _share(of: NDArray[np.bool_]) -> float:
    return np.count_nonzero(of) / of.size  # a mean of booleans takes ten times as long


def _tones(rgb: Array, luma: Array, largest: Array, smallest: Array) -> Array:
    of_luma, of_largest, of_smallest, *of_channels = (
        _percentiles(plane, _PERCENTS) for plane in (luma, largest, smallest, *rgb)
    )
    # The same as ratios of light, which is what a cast multiplies.
    red, green, blue = (np.log2(to_linear(one) + _TINY) for one in of_channels)
    centred = luma - luma.mean()
    deviation = float(luma.std()) + 1e-4
    squared = centred * centred  # products: powers take over a hundred times as long
    moments = [
        luma.mean(),
        deviation,
        (squared * centred).mean() / deviation**3,
        (squared * squared).mean() / deviation**4,
    ]
    bins = np.bincount(np.minimum((luma * 16).astype(np.uint8), 15).ravel(), minlength=16) / luma.size
    return np.concatenate(
        [of_luma, of_largest, of_smallest, *of_channels, red - blue, green - (red + blue) / 2, moments, bins]
    )


def _clipping(rgb: Array, luma: Array, largest: Array, smallest: Array) -> list[Any]:
    """Shares of full and empty pixels, and of those that pile up at the ends of what is there."""
    told: list[Any] = []
    for plane in (*rgb, largest, smallest, luma):
        top, bottom = plane.max(), plane.min()
        told += [_share(plane >= 1 - _STEP), _share(plane <= _STEP), top, bottom]
        told += [_share(plane >= top - _STEP), _share(plane >= top - 5 * _STEP), _share(plane <= bottom + _STEP)]
    return told


def _stretched(light: Array, linear: Array) -> Array:
    """Tones and colours as they were with the range filled: what exposure and veil leave unchanged."""
    largest = np.maximum(np.maximum(linear[0], linear[1]), linear[2])
    low, high = _percentiles(light, (0.5,))[0], _percentiles(largest, (99.5,))[0]
    span = max(float(high - low), 1e-3)
    tones = to_encoded(np.clip((light - low) / span, 0, 1))
    filled = np.clip((linear - low) / span, 0, 1)
    spread = filled.max(0) - filled.min(0)
    return np.concatenate([_percentiles(tones, _FEW), [tones.mean(), spread.mean()], _percentiles(spread, _FEW)])


def _chromas(chroma: Array, a: Array, b: Array, largest: Array, smallest: Array) -> Array:
    saturation = (largest - smallest) / np.maximum(largest, _TINY)
    hue = np.minimum(((np.arctan2(b, a) + np.float32(np.pi)) * np.float32(6 / np.pi)).astype(np.uint8), 11)
    hues = np.bincount(hue.ravel(), chroma.ravel(), minlength=12) / max(float(chroma.sum()), 1e-3)
    ordered = np.argsort(chroma, axis=None)
    dull = []
    for share in (0.05, 0.1, 0.25, 0.5):  # the least coloured pixels lie about grey, or about the cast
        least = ordered[: max(1, int(share * ordered.size))]
        dull += [a.ravel()[least].mean(), b.ravel()[least].mean()]
    return np.concatenate(
        [
            _percentiles(chroma, _PERCENTS[1:]),
            _percentiles(saturation, _FEW),
            [chroma.mean(), chroma.std(), saturation.mean()],
            hues,
            dull,
            _percentiles(a, _FEW),
            _percentiles(b, _FEW),
            [_correlation(a, b)],
        ]
    )


def _correlation(one: Array, other: Array) -> float:
    spread = float(one.std() * other.std())
    return float(((one - one.mean()) * (other - other.mean())).mean()) / spread if spread > 1e-4 else 0.0


def _passed(edges: list[NDArray[np.bool_]]) -> NDArray[np.uint8]:
    """Count the edges that each pixel has passed: for a few, this is several times faster than to search them."""
    count: NDArray[np.uint8] = np.sum(edges, axis=0, dtype=np.uint8)
    return count


def _bands(lightness: Array, a: Array, b: Array, chroma: Array) -> Array:
    """Colour in bands of lightness: fixed ones, and tenths of the pixels."""
    flat = lightness.ravel()
    fixed = _passed([flat >= edge for edge in _BANDS[1:-1]])
    ranked = _passed([flat > edge for edge in _percentiles(lightness, (2, 10, 30, 50, 70, 90, 98))])
    told = []
    for band, number in ((fixed, len(_BANDS) - 1), (ranked, 8)):
        count = np.bincount(band, minlength=number)
        safe = np.maximum(count, 1)
        means = [np.bincount(band, plane.ravel(), number) / safe for plane in (a, b, chroma)]
        squares = [np.bincount(band, (plane * plane).ravel(), number) / safe for plane in (a, b)]
        deviations = [
            np.sqrt(np.maximum(square - mean * mean, 0)) for square, mean in zip(squares, means[:2], strict=True)
        ]
        told += [count / lightness.size, *means, *deviations]
    return np.concatenate(told)


def _places(luma: Array, a: Array, b: Array) -> Array:
    """Luma and colour of nine fields: skies are above, light often in the middle."""
    return np.concatenate([cv2.resize(plane, (3, 3), interpolation=cv2.INTER_AREA).ravel() for plane in (luma, a, b)])


def _lights(linear: Array, luma: Array, largest: Array) -> list[float]:
    """Judge the light's colour in EV, warm and green, by several estimators and over several sets of pixels."""
    told: list[float] = []
    flat: Array = linear.reshape(3, -1)
    tones: Array = luma.ravel()
    usable = (tones > 0.06) & (largest.ravel() < 0.97)
    pixels: Array = np.compress(usable, flat, axis=1)
    if pixels.shape[1] < 50:
        pixels = flat
    else:
        tones = tones[usable]
    scaled = pixels / max(float(pixels.max()), 1e-4)
    norms = [scaled.mean(1), np.sqrt((scaled * scaled).mean(1))]
    cubed = scaled * scaled * scaled
    norms += [cubed.mean(1) ** (1 / 3), (cubed * cubed).mean(1) ** (1 / 6), np.exp(np.log(scaled + _TINY).mean(1))]
    low, high, top = _percentiles(tones, (3.5, 96.5, 99))
    ends = np.compress((tones <= low) | (tones >= high), pixels, axis=1).astype(np.float64)
    # Not a matrix product: BLAS sums in an order that depends on its threads.
    scatter = np.array([[(one * other).sum() for other in ends] for one in ends])
    norms += [np.abs(np.linalg.eigh(scatter)[1][:, -1])]
    norms += [
        np.compress(tones >= high, pixels, axis=1).mean(1),
        np.compress(tones >= top, pixels, axis=1).mean(1),
    ]
    norms += [np.compress(tones <= low, pixels, axis=1).mean(1)]
    edges = [np.abs(np.diff(linear, axis=2)).reshape(3, -1), np.abs(np.diff(linear, axis=1)).reshape(3, -1)]
    edge = np.concatenate(edges, axis=1)
    edge /= max(float(edge.max()), 1e-4)
    norms += [edge.mean(1), np.sqrt((edge * edge).mean(1)), (edge * edge * edge).mean(1) ** (1 / 3)]
    points = []
    for norm in norms:
        red, green, blue = np.log2(np.maximum(norm, 1e-5)).tolist()
        points.append((red - blue, green - (red + blue) / 2))
        told += points[-1]
    spread = np.array(points)
    ordered = np.sort(spread, axis=0)  # an even number; np.median would load numpy.ma to tell their middle
    middle = (ordered[len(points) // 2 - 1] + ordered[len(points) // 2]) / 2
    told += [*middle.tolist(), *spread.std(0).tolist(), _share(usable)]
    return told


def _detail(luma: Array) -> Array:
    step = np.abs(np.diff(luma, axis=1)) if luma.shape[1] > 1 else luma
    smooth = np.abs(luma - cv2.blur(luma, (9, 9)))
    return np.concatenate([_percentiles(step, _FEW), _percentiles(smooth, _FEW), [step.mean(), smooth.mean()]])


def _plateaus(rgb: Array, luma: Array) -> Array:
    """Tell clipping from bright tones: what is full in one, two or all channels, how compact, what is next to it."""
    full = rgb >= 1 - _STEP
    count = full.sum(0)
    told = [_share(count >= number) for number in (1, 2, 3)]
    for plane, is_full in zip(rgb, full, strict=True):
        share = _share(is_full)
        compact = _share(is_full[1:, 1:] & is_full[:-1, 1:] & is_full[1:, :-1] & is_full[:-1, :-1])
        others = rgb.sum(0) - plane
        told += [compact / max(share, 1e-4), (others * is_full).mean() / max(share, 1e-4) if share else -1.0]
        near = [_share((plane >= 1 - width) & ~is_full) for width in (0.02, 0.06, 0.15)]
        told += [*near, share / (share + near[1] + 1e-4)]
    full_rows = (count == 3).mean(1)  # skies are above
    third = max(1, len(full_rows) // 3)
    told += [full_rows[:third].mean(), full_rows[-third:].mean(), _share(luma > 0.9), _share(luma > 0.8)]
    return np.array(told, np.float32)


def _ratios(linear: Array, luma: Array, largest: Array) -> Array:
    """Colour of pixels in EV, warm and green, which a cast shifts as a whole: by tone, most frequent, over steps."""
    usable = ((luma > 0.06) & (largest < 0.97)).ravel()
    if usable.sum() < _LEAST_SIDE**2:
        usable[:] = True
    logs = np.log2(np.compress(usable, linear.reshape(3, -1), axis=1) + _TINY)
    warm, green = logs[0] - logs[2], logs[1] - (logs[0] + logs[2]) / 2
    tones = np.compress(usable, luma.ravel())
    told: list[Any] = [_percentiles(warm, _PERCENTS[4:17]), _percentiles(green, _PERCENTS[4:17])]
    # The most frequent colour of all pixels, of the darker and of the brighter half, and how much of them has it.
    columns = np.clip((warm + 3) * 8, 0, 47).astype(np.intp)
    lines = np.clip((green + 1.5) * 16, 0, 47).astype(np.intp)
    middle = _percentiles(tones, (50,))[0]
    for chosen in (slice(None), tones <= middle, tones >= middle):
        votes: Array = (
            np.bincount(columns[chosen] * 48 + lines[chosen], minlength=48 * 48).reshape(48, 48).astype(np.float32)
        )
        votes = cv2.blur(
            cv2.blur(votes, (3, 3), borderType=cv2.BORDER_CONSTANT), (3, 3), borderType=cv2.BORDER_CONSTANT
        )
        column, line = divmod(int(votes.argmax()), 48)
        told.append([column / 8 - 3, line / 16 - 1.5, votes[column, line] / max(float(votes.sum()), 1)])
    # Means by tone: a tint of film differs from dark to bright, a cast does not.
    ranked = _passed([tones > edge for edge in _percentiles(tones, (10, 25, 50, 75, 90))])
    counts = np.maximum(np.bincount(ranked, minlength=6), 1)
    told += [np.bincount(ranked, plane, 6) / counts for plane in (warm, green)]
    # Small chroma about each of a few candidate lights: how many pixels each would make grey.
    greens = [np.abs(green - candidate) < 0.1 for candidate in (-0.3, 0.0, 0.3)]
    for candidate in (-0.8, -0.4, 0.0, 0.4, 0.8):
        is_warm = np.abs(warm - candidate) < 0.2
        told.append([_share(is_warm & is_green) for is_green in greens])
    # The same estimators over coarser pixels and coarser steps.
    coarse = np.stack([cv2.resize(plane, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA) for plane in linear])
    steps = [np.abs(np.diff(coarse, axis=axis)).reshape(3, -1) for axis in (1, 2)]
    flat, edge = coarse.reshape(3, -1), np.concatenate(steps, axis=1)
    for values in (flat, edge, np.compress(flat.max(0) < 0.9, flat, axis=1)):
        if values.shape[1] < 4:
            values = flat
        scaled = values / max(float(values.max()), 1e-4)
        for power in (1, 4):
            red, green_, blue = np.log2(np.maximum((scaled**power).mean(1) ** (1 / power), 1e-5)).tolist()
            told.append([red - blue, green_ - (red + blue) / 2])
    return np.concatenate([np.asarray(part, np.float32) for part in told])
