"""Spoil good photographs the way that `quality.py` judges by and `train.py` learns from.

References
----------
Coffin, D. dcraw: camera matrices as Adobe's DNG Converter writes them (ColorMatrix2), and how to use them.
Reinhard, E., Stark, M., Shirley, P. and Ferwerda, J. (2002). Photographic tone reproduction for digital images. ACM
Transactions on Graphics, 21(3), 267-276: the camera's shoulder, with white at 1.
"""

import hashlib
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from studio.tone_mapping.adjustments import Adjustments
from studio.tone_mapping.colour import LUMINANCE, XYZ_FROM_RGB, Array, luminance, to_encoded, to_linear
from studio.tone_mapping.grade import bend
from studio.tone_mapping.white_balance import planckian_white

CLASSES = ("under", "over", "warm_cool", "tint", "flat", "desat", "mix_dark_cast", "mix_all", "good")
OUR_CLASSES = (*CLASSES, "wrong_balance")  # the last is none of the recipe's

# What a camera can be set to: tungsten, fluorescent, daylight, cloudy, shade. In kelvin.
_PRESETS = (2850, 3800, 5500, 6500, 7500)
_LIGHTS = (2700, 7500)
_LIGHT_MIREDS = (133, 370)  # the same in whole mireds
_NEAR_MIREDS = (25, 100)
_LEAST_MIREDS = 25  # between the light and the preset: less is no mistake that is seen
_CAMERAS = (  # to a camera's own red, green and blue from XYZ: Nikon D3 and D40, Canon EOS 5D Mark II and III
    np.array(
        [
            [[8139, -2171, -663], [-8747, 16541, 2295], [-1925, 2008, 8093]],
            [[6992, -1668, -806], [-8138, 15748, 2543], [-874, 850, 7897]],
            [[4716, 603, -830], [-7798, 15474, 2480], [-1496, 1937, 6651]],
            [[6722, -635, -963], [-4287, 12460, 2028], [-908, 2162, 5668]],
        ]
    )
    / 10000
)
_SENSORS = np.concatenate(  # more of them, to learn from: that table's Canon, Fujifilm, Nikon, Olympus, Panasonic, Sony
    [
        _CAMERAS,
        np.array(
            [
                [[5859, -211, -930], [-8255, 16017, 2353], [-1732, 1887, 7448]],
                [[6347, -479, -972], [-8297, 15954, 2480], [-1968, 2131, 7649]],
                [[6941, -1164, -857], [-3825, 11597, 2534], [-416, 1540, 6039]],
                [[6461, -907, -882], [-4300, 12184, 2378], [-819, 1944, 5931]],
                [[10413, -3996, -993], [-3721, 11640, 2361], [-733, 1540, 6011]],
                [[8322, -3112, -1047], [-6367, 14342, 2179], [-988, 1638, 6394]],
                [[8380, -2630, -639], [-2887, 10725, 2496], [-627, 1427, 5438]],
                [[6763, -1919, -863], [-3868, 11515, 2684], [-1216, 2387, 5879]],
                [[5991, -1456, -455], [-4764, 12135, 2980], [-707, 1425, 6701]],
            ]
        )
        / 10000,
    ]
)
_FAR_MIREDS = 40
_DAYLIGHT_MIREDS = (185, 18)  # mean and deviation


@dataclass(frozen=True)
class Degradation:
    """Done in linear light in this order: saturation, range, channel gains, exposure. The default does nothing.

    Contrast, a slider's, is taken off display-encoded tones before all that.
    """

    saturation: float = 1.0
    low: float = 0.0
    high: float = 1.0
    warm: float = 0.0
    green: float = 0.0
    exposure: float = 0.0
    contrast: float = 0.0

    def gains(self) -> Array:
        """Return gains of red, green and blue that keep the luminance of grey.

        Returns
        -------
        ndarray of float32
            (3,); ``LUMINANCE @ gains`` is 1.
        """
        gains = np.exp2(np.array([self.warm / 2, self.green, -self.warm / 2], np.float32))
        kept: Array = (gains / (gains @ LUMINANCE)).astype(np.float32)
        return kept


def seeded(*parts: Any) -> np.random.Generator:
    """Return random numbers that depend on the parts alone."""
    digest = hashlib.sha256("/".join(map(str, parts)).encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "big"))


def draw(name: str, random: np.random.Generator) -> Degradation:
    """Draw a degradation of a class.

    Parameters
    ----------
    name : str
        One of `CLASSES`, or ``unretouched``.
    random : numpy.random.Generator

    Returns
    -------
    Degradation
    """

    def sign() -> float:
        return float(random.choice([-1.0, 1.0]))

    between = random.uniform
    match name:
        case "under":
            return Degradation(exposure=between(-2.0, -0.7))
        case "over":
            return Degradation(exposure=between(0.5, 1.5))
        case "warm_cool":
            return Degradation(warm=sign() * between(0.35, 1.1), green=between(-0.08, 0.08))
        case "tint":
            return Degradation(green=sign() * between(0.15, 0.35), warm=between(-0.15, 0.15))
        case "flat":
            return Degradation(low=between(0.01, 0.07), high=between(0.40, 0.80))
        case "desat":
            return Degradation(saturation=between(0.25, 0.65))
        case "mix_dark_cast":
            return Degradation(
                exposure=between(-1.7, -0.6), warm=sign() * between(0.3, 0.9), green=between(-0.12, 0.12)
            )
        case "mix_all":
            return Degradation(
                saturation=between(0.45, 0.9),
                low=between(0, 0.03),
                high=between(0.6, 1.0),
                warm=between(-0.7, 0.7),
                green=between(-0.15, 0.15),
                exposure=between(-1.3, 0.7),
            )
        case "unretouched":  # not judged by: what a camera makes where a hand at the retouch would do more
            return Degradation(
                saturation=between(0.6, 0.95),
                low=between(0, 0.012),
                high=between(0.75, 1.0),
                warm=between(-0.2, 0.2),
                green=between(-0.06, 0.06),
                exposure=between(-1.1, 0.0),
                contrast=between(-60, -15),
            )
        case _:
            return Degradation()


@dataclass(frozen=True)
class Camera:
    """A camera, what it is set to, and what it stands in.

    Attributes
    ----------
    light, preset : float
        What there is, and what it is set to, in kelvin.
    from_xyz : ndarray
        3 x 3: its own red, green and blue from XYZ.
    green : float
        EV that the preset is off the locus of black bodies.
    slope, contrast : float
        Its tone curve: the slope at black of a shoulder in linear light, then the slider.
    holds_white : bool
        Whether white stays white: a full sensor is so under any preset.
    """

    light: float
    preset: float
    from_xyz: Array
    green: float
    slope: float
    contrast: float
    holds_white: bool


def draw_camera(random: np.random.Generator) -> Camera:
    """Draw one that is set wrong enough to be seen."""
    while True:
        mireds = random.uniform(1e6 / _LIGHTS[1], 1e6 / _LIGHTS[0])
        preset = float(random.choice(_PRESETS)) * random.uniform(0.95, 1.05)
        if abs(mireds - 1e6 / preset) >= _LEAST_MIREDS:
            break
    return Camera(
        light=1e6 / mireds,
        preset=preset,
        from_xyz=np.tensordot(random.dirichlet(np.ones(len(_CAMERAS))), _CAMERAS, 1),
        green=random.normal(0, 0.15),
        slope=2 ** random.uniform(0, 1.2),
        contrast=random.uniform(0, 60),
        holds_white=random.random() < 0.7,
    )


def draw_near_camera(random: np.random.Generator) -> Camera:
    """Draw one as they are set wrong most often: by a preset nearby, on the locus."""
    camera = draw_camera(random)
    while True:
        way, mireds = random.choice([-1.0, 1.0]), random.uniform(*_NEAR_MIREDS)
        preset = float(random.choice(_PRESETS)) * random.uniform(0.95, 1.05)
        light = 1e6 / preset + way * mireds
        if _LIGHT_MIREDS[0] <= light <= _LIGHT_MIREDS[1]:
            return replace(camera, preset=preset, light=1e6 / light, green=random.normal(0, 0.05))


def draw_far_camera(random: np.random.Generator) -> Camera:
    """Draw one set far wrong, of any make, mostly in daylight: nearer to single sensors, with curves of any kind."""
    camera = draw_camera(random)
    while True:
        light = random.normal(*_DAYLIGHT_MIREDS) if random.random() < 0.5 else random.uniform(*_LIGHT_MIREDS)
        preset = float(random.choice(_PRESETS)) * random.uniform(0.93, 1.07)
        if abs(light - 1e6 / preset) >= _FAR_MIREDS:
            break
    return replace(
        camera,
        light=1e6 / light,
        preset=preset,
        from_xyz=np.tensordot(random.dirichlet(np.full(len(_SENSORS), 0.2)), _SENSORS, 1),
        green=random.normal(0, 0.12),
        slope=2 ** random.uniform(0, 1.8),
        contrast=random.uniform(0, 80),
    )


def milder(degradation: Degradation, share: float) -> Degradation:
    """Return the same degradation at a share (0..1) of its strength.

    Parameters
    ----------
    degradation : Degradation
    share : float
        0..1.

    Returns
    -------
    Degradation
    """
    return replace(
        degradation,
        saturation=1 + (degradation.saturation - 1) * share,
        low=degradation.low * share,
        high=1 + (degradation.high - 1) * share,
        warm=degradation.warm * share,
        green=degradation.green * share,
        exposure=degradation.exposure * share,
        contrast=degradation.contrast * share,
    )


def style(pixels: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    """Vary a good photograph so that it stays good: darker or brighter, softer ends, a little colour, grain.

    Film, low key and haze look like that. Without such variations what one collection has in common passes for what
    every good photograph has.

    Parameters
    ----------
    pixels : ndarray of uint8
        (h, w, 3) BGR.
    random : numpy.random.Generator

    Returns
    -------
    ndarray of uint8
        (h, w, 3).
    """
    warm, green = random.uniform(-0.2, 0.2), random.uniform(-0.06, 0.06)
    encoded = degrade(pixels, Degradation(saturation=random.uniform(0.8, 1.15), warm=warm, green=green))
    encoded = encoded ** np.float32(np.exp(np.clip(random.normal(0.06, 0.2), -0.3, 0.45)))
    encoded = encoded + np.float32(random.uniform(-0.6, 0.6)) * encoded * (1 - encoded) * (encoded - np.float32(0.46))
    black, white = random.uniform(0, 0.05) * random.integers(0, 2), 1 - random.uniform(0, 0.14) * random.integers(0, 2)
    encoded = black + encoded * np.float32(white - black)
    grain = random.normal(0, random.uniform(0, 0.012), encoded.shape[:2]).astype(np.float32)
    styled: NDArray[np.uint8] = np.rint(np.clip(encoded + grain[..., None], 0, 1) * 255).astype(np.uint8)
    return styled


def metered(pixels: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    """Vary a good photograph as cameras meter it without a hand at the retouch: mostly darker, paler, with soft ends.

    Parameters
    ----------
    pixels : ndarray of uint8
        (h, w, 3) BGR.
    random : numpy.random.Generator

    Returns
    -------
    ndarray of uint8
        (h, w, 3).
    """
    exposure = random.uniform(-1.8, 0.4)
    varied = style(pixels, random)
    taken = degrade(varied, Degradation(saturation=random.uniform(0.7, 1.1), exposure=exposure), random)
    metered: NDArray[np.uint8] = np.rint(taken * 255).astype(np.uint8)
    return metered


def film(pixels: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    """Vary a good photograph as film and prints do: tinted shadows and lights, a curve a channel, weak ends.

    Parameters
    ----------
    pixels : ndarray of uint8
        (h, w, 3) BGR.
    random : numpy.random.Generator

    Returns
    -------
    ndarray of uint8
        (h, w, 3).
    """
    encoded = pixels.astype(np.float32) / 255
    bends = random.normal(0.05, 0.12) + random.normal(0, 0.05, 3)
    encoded = encoded ** np.exp(np.clip(bends, -0.3, 0.4)).astype(np.float32)
    encoded = degrade(
        np.rint(encoded * 255).astype(np.uint8),
        Degradation(
            saturation=random.uniform(0.7, 1.1), warm=random.uniform(-0.2, 0.2), green=random.uniform(-0.06, 0.06)
        ),
    )
    luma = encoded.mean(2, keepdims=True)
    shadows, lights = random.normal(0, 0.013, (2, 3)).astype(np.float32)
    encoded = encoded + shadows * (1 - luma) ** 2 + lights * luma**2 * (1 - luma) * 3
    black, white = random.uniform(0, 0.08) * random.integers(0, 2), 1 - random.uniform(0, 0.15) * random.integers(0, 2)
    encoded = black + encoded * np.float32(white - black)
    grain = random.normal(0, random.uniform(0, 0.02), encoded.shape[:2]).astype(np.float32)
    filmed: NDArray[np.uint8] = np.rint(np.clip(encoded + grain[..., None], 0, 1) * 255).astype(np.uint8)
    return filmed


def old_film(pixels: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    """Vary a good photograph as scans of old film are: `film`, warm and green before. No camera was set wrong there.

    Parameters
    ----------
    pixels : ndarray of uint8
        (h, w, 3) BGR.
    random : numpy.random.Generator

    Returns
    -------
    ndarray of uint8
        (h, w, 3).
    """
    tint = Degradation(warm=random.uniform(-0.2, 0.9), green=random.uniform(-0.1, 0.35))
    return film(np.rint(degrade(pixels, tint) * 255).astype(np.uint8), random)


def degrade(pixels: NDArray[np.uint8], degradation: Degradation, camera: np.random.Generator | None = None) -> Array:
    """Degrade BGR pixels; encoded 0..1.

    With `camera` the ends look as a camera leaves them, at random: pixels that were blown have light of their own to
    be darkened to, or stay white under a cast; over-exposure rolls off. Without it a truth's blown pixels fall to one
    grey or tinted value, which a learner would take for the sign of a degradation.

    Parameters
    ----------
    pixels : ndarray of uint8
        (h, w, 3) BGR.
    degradation : Degradation
    camera : numpy.random.Generator | None
        What a camera's ends are drawn from.

    Returns
    -------
    ndarray of float32
        (h, w, 3) BGR, display-encoded, 0..1.
    """
    linear = np.ascontiguousarray(pixels[..., ::-1].astype(np.float32).transpose(2, 0, 1)) / 255
    if degradation.contrast:
        linear = bend(linear, Adjustments(contrast=degradation.contrast))
    linear = to_linear(linear)
    grey = luminance(linear)
    blown = np.clip((linear.min(0) - 0.85) / 0.15, 0, 1)
    if camera is not None and camera.random() < 0.6:
        field = cv2.resize(camera.random((6, 8), np.float32), grey.shape[::-1], interpolation=cv2.INTER_CUBIC)
        linear = linear * (1 + blown * field * np.float32(camera.uniform(0, 1.2)))
        grey = luminance(linear)
    linear = grey + (linear - grey) * degradation.saturation
    linear = degradation.low + linear * (degradation.high - degradation.low)
    gains = degradation.gains()[:, None, None]
    if camera is not None and camera.random() < 0.4:
        gains = gains + (gains.max() - gains) * blown
    linear = linear * gains * np.float32(2**degradation.exposure)
    if camera is not None and camera.random() < 0.4:
        knee = np.float32(camera.uniform(0.6, 0.9))
        above = np.maximum(linear - knee, 0)
        linear = np.minimum(linear, knee) + (1 - knee) * (1 - np.exp(-above / (1 - knee)))
    encoded: Array = to_encoded(np.clip(linear, 0, 1)).transpose(1, 2, 0)[..., ::-1]
    return encoded


def wrong_white_balance(pixels: NDArray[np.uint8], camera: Camera) -> Array:
    """Take BGR pixels, good ones, as by a camera that is set to another light than there is; encoded 0..1.

    A camera balances its own channels before its matrix and its tone curve: back through both, to the light on the
    sensor, then forth with the preset's gains.

    Parameters
    ----------
    pixels : ndarray of uint8
        (h, w, 3) BGR.
    camera : Camera

    Returns
    -------
    ndarray of float32
        (h, w, 3) BGR, display-encoded, 0..1.
    """
    light, preset = (camera.from_xyz @ planckian_white(kelvin) for kelvin in (camera.light, camera.preset))
    gains = light / preset
    gains = gains / gains[1] * np.exp2([0, camera.green, 0])
    balanced = camera.from_xyz @ XYZ_FROM_RGB
    balanced = (balanced / balanced.sum(1, keepdims=True)).astype(np.float32)  # grey is grey in both
    slope = np.float32(camera.slope)
    tones = np.linspace(0, 1, 4096, dtype=np.float32)
    bent = bend(tones, Adjustments(contrast=camera.contrast))

    shown = to_linear(np.interp(np.arange(256) / 255, bent, tones).astype(np.float32))
    seen = (shown / (slope - (slope - 1) * shown))[pixels[..., ::-1].reshape(-1, 3).T]
    kept = gains[:, None].astype(np.float32)
    if camera.holds_white:
        kept = kept + (np.maximum(kept.max(), 1) - kept) * np.clip((seen.min(0) - 0.8) / 0.2, 0, 1)
    seen = np.clip(np.linalg.inv(balanced) @ np.clip((balanced @ seen) * kept, 0, 1), 0, 1)
    shown = to_encoded(slope * seen / (1 + (slope - 1) * seen))
    taken = bent[np.rint(shown * (len(tones) - 1)).astype(np.intp)]
    wrong: Array = np.ascontiguousarray(taken.T.reshape(pixels.shape)[..., ::-1])
    return wrong


def spoil(pixels: NDArray[np.uint8], name: str, random: np.random.Generator) -> NDArray[np.uint8]:
    """Take a photograph through a class of `OUR_CLASSES`.

    Parameters
    ----------
    pixels : ndarray of uint8
        (h, w, 3) BGR.
    name : str
    random : numpy.random.Generator

    Returns
    -------
    ndarray of uint8
        (h, w, 3).
    """
    if name == "good":
        return pixels
    wrong = (
        wrong_white_balance(pixels, draw_camera(random))
        if name == "wrong_balance"
        else degrade(pixels, draw(name, random))
    )
    return through_jpeg(wrong, random)


def through_jpeg(encoded: Array, random: np.random.Generator) -> NDArray[np.uint8]:
    """Round to 8 bits and take through a JPEG of quality 85 to 95 without chroma subsampling.

    Parameters
    ----------
    encoded : ndarray of float32
        (h, w, 3) BGR, 0..1.
    random : numpy.random.Generator

    Returns
    -------
    ndarray of uint8
        (h, w, 3).
    """
    pixels = np.rint(encoded * 255).astype(np.uint8)
    options = [cv2.IMWRITE_JPEG_QUALITY, int(random.integers(85, 96))]
    options += [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    decoded: Any = cv2.imdecode(cv2.imencode(".jpg", pixels, options)[1], cv2.IMREAD_COLOR)
    return np.asarray(decoded, np.uint8)
