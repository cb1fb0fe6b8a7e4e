"""From bytes to graded bytes: the whole of auto-correct in one place."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from studio.tone_mapping.adjustments import Adjustments
from studio.tone_mapping.analyse import analyse_proxy, make_proxy
from studio.tone_mapping.apply import apply_lut
from studio.tone_mapping.auto import Step, choose
from studio.tone_mapping.decode import Photo, decode
from studio.tone_mapping.encode import Output, encode, output_dtype, output_format, with_dtype
from studio.tone_mapping.lut import Lut, compile_lut, lut_id, lut_size
from studio.tone_mapping.probe import Format, Limits, check_limits, probe


@dataclass(frozen=True)
class GradedImage:
    """A graded picture and all that there is to say about it.

    Attributes
    ----------
    data : bytes
        The encoded picture, in `format`, `width` x `height` pixels.
    confidence : float
        How sure the choice of sliders is, 0..1.
    statistics : dict
        ``before`` and ``after``, as `Analysis.statistics` gives them.
    lut : ndarray of float32
        What was applied; `lut_id` names it.
    timings_ms : dict
        Milliseconds of ``probe decode analyse lut apply encode``.
    """

    data: bytes
    format: Format
    width: int
    height: int
    adjustments: Adjustments
    confidence: float
    steps: tuple[Step, ...]
    statistics: dict[str, dict[str, Any]]
    lut: Lut
    lut_id: str
    timings_ms: dict[str, float]


@dataclass
class _Stopwatch:
    timings_ms: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        start = perf_counter()
        yield
        self.timings_ms[name] = self.timings_ms.get(name, 0) + round((perf_counter() - start) * 1000, 2)


def auto_correct(
    data: bytes, output: Output | None = None, limits: Limits | None = None, strength: float = 100
) -> GradedImage:
    """Grade an encoded picture by sliders that are chosen for it.

    Parameters
    ----------
    data : bytes
        JPEG, PNG, WebP, AVIF or TIFF.
    output : Output | None
        How the answer is written; like the input by default.
    limits : Limits | None
        Of what is decoded.
    strength : float
        Share of the chosen sliders that is applied, 0..100 percent.

    Raises
    ------
    ImageError
        One of its subclasses, for a picture or an output that cannot be.
    """
    output, limits = output or Output(), limits or Limits()
    stopwatch = _Stopwatch()
    with stopwatch("probe"):
        header = probe(data)
        check_limits(header, limits)
        dtype = output_dtype(header, output)
    with stopwatch("decode"):
        photo = _fitted(decode(data, header), output.max_size)
    with stopwatch("analyse"):
        before = analyse_proxy(make_proxy(photo.pixels))
        chosen = choose(before)
        adjustments = chosen.adjustments.scaled(strength)
    with stopwatch("lut"):
        lut = compile_lut(adjustments, lut_size(adjustments, header.bit_depth))
        fingerprint = lut_id(lut)
    with stopwatch("apply"):
        # 16 bits out of 8 are graded at 16; the pixels are ours, so the grade overwrites them.
        pixels = with_dtype(photo.pixels, dtype) if dtype == np.uint16 else photo.pixels
        pixels = apply_lut(pixels, lut, out=pixels)
    with stopwatch("analyse"):
        after = analyse_proxy(make_proxy(pixels))
    with stopwatch("encode"):
        encoded = encode(pixels, photo.alpha, photo.header, output)
    return GradedImage(
        data=encoded,
        format=output_format(header, output),
        width=pixels.shape[1],
        height=pixels.shape[0],
        adjustments=adjustments,
        confidence=chosen.confidence,
        steps=chosen.steps,
        statistics={"before": before.statistics(), "after": after.statistics()},
        lut=lut,
        lut_id=fingerprint,
        timings_ms=stopwatch.timings_ms,
    )


def _fitted(photo: Photo, max_size: int | None) -> Photo:
    """Fit the picture into `max_size`: before the grade, for there are fewer pixels then, and no dither to blur."""
    height, width = photo.pixels.shape[:2]
    if max_size is None or max(height, width) <= max_size:
        return photo
    scale = max_size / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    if photo.alpha is None:
        return replace(photo, pixels=cv2.resize(photo.pixels, size, interpolation=cv2.INTER_AREA))
    # Weighed by alpha, or what hides in transparent pixels would bleed into their neighbours. The product of two bytes
    # fits uint16, half the memory of float32.
    dtype = photo.pixels.dtype
    wide = np.uint16 if dtype == np.uint8 else np.float32
    weighed = np.multiply(photo.pixels, photo.alpha[..., None], dtype=wide)
    weighed = cv2.resize(weighed, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    alpha = cv2.resize(photo.alpha.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    pixels = np.clip(weighed / np.maximum(alpha, 1e-6)[..., None], 0, np.iinfo(dtype).max)
    return replace(photo, pixels=np.rint(pixels).astype(dtype), alpha=np.rint(alpha).astype(dtype))


def auto_correct_pixels(image_rgb: NDArray[Any]) -> NDArray[Any]:
    """Do what `studio.tone_mapping.auto_correct` says."""
    pixels = np.ascontiguousarray(image_rgb[..., ::-1])
    proxy = make_proxy(pixels)
    if proxy.dtype == np.float32:
        proxy = np.rint(np.clip(proxy, 0, 1) * 65535).astype(np.uint16)
    adjustments = choose(analyse_proxy(proxy)).adjustments
    bit_depth = 8 if pixels.dtype == np.uint8 else 16
    graded = apply_lut(pixels, compile_lut(adjustments, lut_size(adjustments, bit_depth)), out=pixels)
    return np.ascontiguousarray(graded[..., ::-1])
