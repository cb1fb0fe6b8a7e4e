"""From bytes to graded bytes: every way of grading a picture in one place."""

from collections.abc import Callable, Collection, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from time import perf_counter
from typing import Any, NamedTuple, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from studio.tone_mapping.adjustments import SPATIAL
from studio.tone_mapping.analyse import PROXY_SIDE, Analysis, analyse_proxy, judged, make_proxy
from studio.tone_mapping.apply import LutProcessor, apply_lut
from studio.tone_mapping.auto import Group, choose, skipping
from studio.tone_mapping.auto_result import AutoResult
from studio.tone_mapping.decode import Photo, decode, reduction
from studio.tone_mapping.detail import apply_detail
from studio.tone_mapping.encode import check_memory, encode, output_dtype, output_format, with_dtype
from studio.tone_mapping.formats import Format
from studio.tone_mapping.icc import to_srgb
from studio.tone_mapping.jpeg import encode_jpeg
from studio.tone_mapping.learned import predict
from studio.tone_mapping.look import Grade, compile_look, look_size, spatial_sliders
from studio.tone_mapping.lut import Lut, compile_lut, lut_id, lut_size
from studio.tone_mapping.match import match
from studio.tone_mapping.output import Output
from studio.tone_mapping.probe import Limits, check_limits, probe

_PROXY_MIN_SIDE = 2 * PROXY_SIDE  # pixels of the longer side, to make a proxy of
_PREVIEW_QUALITY = 85
_PIXEL_TYPES = (np.uint8, np.uint16, np.float32)


class Look(NamedTuple):
    """What a picture is put through.

    Attributes
    ----------
    grades : tuple of Adjustments or Table
        One after another.
    auto : AutoResult | None
        Why, where the picture itself was asked.
    """

    grades: tuple[Grade, ...]
    auto: AutoResult | None = None


Proxy = NDArray[Any]
Chooser = Callable[[Proxy, Analysis], Look]  # the proxy, as `load_proxy` makes it, and its analysis


class GradedImage(NamedTuple):
    """A graded picture and all that there is to say about it.

    Attributes
    ----------
    data : bytes | None
        The encoded picture, in `format`, `width` x `height` pixels; None where no pixels were asked for.
    statistics : dict
        ``before`` and ``after``, as `Analysis.statistics` gives them, of the proxy before and after the grade: without
        a frame, which has no say in the look.
    lut : ndarray of float32
        What was applied; `lut_id` names it.
    timings_ms : dict
        Milliseconds of ``probe decode analyse lut apply encode``, one after the other: ``analyse`` and ``lut`` are what
        is left to do of them once the picture is decoded. Fitting into `max_size` is within ``decode``.
    """

    data: bytes | None
    format: Format
    width: int
    height: int
    look: Look
    statistics: dict[str, dict[str, Any]]
    lut: Lut
    lut_id: str
    timings_ms: dict[str, float]


class _Seen(NamedTuple):
    proxy: Proxy
    analysis: Analysis
    look: Look


class _Grader:
    """A look, made ready for the picture and for its proxy."""

    def __init__(self, seen: _Seen, bit_depth: int, dtype: np.dtype[Any]) -> None:
        self._spatial = spatial_sliders(seen.look.grades)
        is_fine = np.uint16 in (dtype, seen.proxy.dtype) or any(self._spatial.values())
        self._dtype = np.dtype(np.uint16 if is_fine else np.uint8)
        self.lut = compile_look(seen.look.grades, look_size(seen.look.grades, bit_depth))
        self._processor = LutProcessor(self.lut, self._dtype)

    def grade(self, pixels: NDArray[Any], alpha: NDArray[Any] | None = None) -> NDArray[Any]:
        """Grade pixels, which are ours: they may be overwritten."""
        pixels = with_dtype(pixels, self._dtype)
        pixels = self._processor.apply(pixels, out=pixels)
        if any(self._spatial.values()):
            if alpha is not None:  # what is hidden has no say in its neighbours
                shown = (alpha > 0).astype(np.uint8)
                pixels[shown == 0] = np.rint(cv2.mean(pixels, shown)[:3])
            clarity, texture, dehaze = (self._spatial[name] for name in SPATIAL)
            pixels = apply_detail(pixels, clarity, texture, dehaze)
        return pixels


class _Stopwatch:
    def __init__(self) -> None:
        self.timings_ms: dict[str, float] = {}

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        start = perf_counter()
        yield
        self.timings_ms[name] = self.timings_ms.get(name, 0) + round((perf_counter() - start) * 1000, 2)


def fixed(*grades: Grade) -> Chooser:
    """Return the chooser that has the same answer for every picture.

    Parameters
    ----------
    *grades : Adjustments or Table

    Returns
    -------
    callable
    """
    look = Look(grades)
    return lambda proxy, analysis: look


def automatic(strength: float, *then: Grade, skip: Collection[Group] = ()) -> Chooser:
    """Return the chooser of automatic correction.

    Parameters
    ----------
    strength : float
        Share of the chosen sliders that is applied, 0..100 percent.
    *then : Adjustments or Table
        What comes after it.
    skip : collection of {"tone", "white_balance", "colour"}
        What is left as it is.

    Returns
    -------
    callable
    """
    return lambda proxy, analysis: _chosen(skipping(choose(analysis, predict(proxy)), skip), strength, then)


def matching(reference_proxy: Proxy, strength: float, *then: Grade, skip: Collection[Group] = ()) -> Chooser:
    """Return the chooser that makes pictures look like another one.

    Parameters
    ----------
    reference_proxy : ndarray
        Of that other one, see `load_proxy`.
    strength : float
        Share of the chosen sliders that is applied, 0..100 percent.
    *then : Adjustments or Table
        What comes after it.
    skip : collection of {"tone", "white_balance", "colour"}
        What is left as it is.

    Returns
    -------
    callable
    """
    return lambda proxy, analysis: _chosen(skipping(match(proxy, reference_proxy), skip), strength, then)


def _chosen(auto: AutoResult, strength: float, then: tuple[Grade, ...]) -> Look:
    if strength == 0:
        auto = skipping(auto, get_args(Group))
    auto = auto._replace(adjustments=auto.adjustments.scaled(strength))
    return Look((auto.adjustments, *then), auto)


def grade_image(
    data: bytes,
    chooser: Chooser,
    output: Output | None = None,
    limits: Limits | None = None,
    *,
    dry_run: bool = False,
) -> GradedImage:
    """Grade an encoded picture.

    Parameters
    ----------
    data : bytes
        JPEG, PNG, WebP, AVIF, TIFF, OpenEXR or Radiance HDR.
    chooser : callable
        Tells the look by the picture itself: `fixed`, `automatic` or `matching`.
    output : Output | None
        How the answer is written; like the input by default.
    limits : Limits | None
        Of what is decoded.
    dry_run : bool
        Leave the pixels out: everything else is told.

    Returns
    -------
    GradedImage

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
        check_memory(header, output)
    # Decoding takes one core only. On another one, the look is chosen and compiled meanwhile, where the picture can be
    # had small before it is there as a whole, and the result is judged while it is written.
    with ThreadPoolExecutor(1) as beside:

        def choose_beside(see: Callable[[], Photo]) -> tuple[Future[_Seen], Future[_Grader]]:
            seen = beside.submit(lambda: _analyse(see(), chooser))
            return seen, beside.submit(lambda: _Grader(seen.result(), header.bit_depth, dtype))

        chosen = None
        if reduction(header, _PROXY_MIN_SIDE) != reduction(header, output.max_size):
            chosen = choose_beside(lambda: decode(data, header, _PROXY_MIN_SIDE))
        with stopwatch("decode"):
            photo = decode(data, header, output.max_size)
        # Of the picture as it came: the look must not depend on the size that it goes out in.
        seen, compiled = chosen or choose_beside(lambda: photo)
        with stopwatch("analyse"):
            proxy, before, look = seen.result()
        with stopwatch("lut"):
            grader = compiled.result()
        with stopwatch("decode"):
            photo = _fitted(photo, output)
        height, width = photo.pixels.shape[:2]
        fingerprint = beside.submit(lut_id, grader.lut)
        own = proxy.copy()  # it may be the picture itself, which the grade overwrites
        profile = photo.header.icc_profile
        after = beside.submit(lambda: analyse_proxy(_in_srgb(grader.grade(own), profile)))
        encoded = None
        if not dry_run:
            with stopwatch("apply"):
                photo = photo._replace(pixels=grader.grade(photo.pixels, photo.alpha))
            with stopwatch("encode"):
                encoded = encode(photo.pixels, photo.alpha, photo.header, output)
        return GradedImage(
            data=encoded,
            format=output_format(header, output),
            width=width,
            height=height,
            look=look,
            statistics={"before": before.statistics(), "after": after.result().statistics()},
            lut=grader.lut,
            lut_id=fingerprint.result(),
            timings_ms=stopwatch.timings_ms,
        )


def grade_still(data: bytes, chooser: Chooser, min_size: tuple[int, int] | None = None) -> Photo:
    """Grade an encoded picture to 8 bits, for a film to be made of it.

    Parameters
    ----------
    data : bytes
    chooser : callable
        Tells the look by the picture itself: `fixed`, `automatic` or `matching`.
    min_size : (int, int) | None
        Width and height, as displayed, to which a larger picture is made smaller.

    Returns
    -------
    Photo
        Of uint8.

    Raises
    ------
    ImageError
        One of its subclasses.
    """
    header = probe(data)
    check_limits(header, Limits())
    photo = decode(data, header, _longer_side(header.displayed_size, min_size) if min_size else None)
    seen = photo if len(photo.pixels) == header.displayed_size[1] else decode(data, header, _PROXY_MIN_SIDE)
    grader = _Grader(_analyse(seen, chooser), header.bit_depth, photo.pixels.dtype)
    height, width = photo.pixels.shape[:2]
    if min_size and min_size[0] < width and min_size[1] < height:
        photo = _resized(photo, min_size)
    pixels = grader.grade(photo.pixels, photo.alpha)
    alpha = photo.alpha
    if alpha is not None and alpha.dtype == np.uint16:
        alpha = (alpha >> 8).astype(np.uint8)
    return photo._replace(pixels=with_dtype(pixels, np.dtype(np.uint8)), alpha=alpha)


def _longer_side(size: tuple[int, int], min_size: tuple[int, int]) -> int:
    """Tell how long the longer side must be for both to reach `min_size`: a film may stretch the other one."""
    return max(-(-max(size) * needed // side) for side, needed in zip(size, min_size, strict=True))


def _analyse(photo: Photo, chooser: Chooser) -> _Seen:
    """Return the proxy in the picture's own space, and what sRGB shows of it."""
    proxy = judged(make_proxy(_visible(photo)))
    shown = _in_srgb(proxy, photo.header.icc_profile)
    analysis = analyse_proxy(shown)
    return _Seen(proxy, analysis, chooser(shown, analysis))


def _in_srgb(proxy: Proxy, profile: bytes | None) -> Proxy:
    """Show what is judged as sRGB, in 8 bits: a wide space has the same colours at paler and darker codes."""
    return proxy if profile is None else to_srgb(with_dtype(proxy, np.dtype(np.uint8)), profile)


def _visible(photo: Photo) -> NDArray[Any]:
    """Return what a picture is judged by: all of it, or what is not transparent, thinned as for a proxy.

    Within its bounds, visible pixels stand for the transparent ones, which takes no share from any tone or colour.
    """
    pixels, alpha = photo.pixels, photo.alpha
    if alpha is None:
        return pixels
    longest = max(alpha.shape)
    if longest > _PROXY_MIN_SIDE:
        height, width = (2 * max(1, round(side * PROXY_SIDE / longest)) for side in alpha.shape)
        alpha = cv2.resize(alpha, (width, height), interpolation=cv2.INTER_NEAREST)
    seen = alpha > np.iinfo(alpha.dtype).max // 2
    if seen.all() or not seen.any():
        return pixels
    pixels = cv2.resize(pixels, seen.shape[::-1], interpolation=cv2.INTER_NEAREST)
    left, top, width, height = cv2.boundingRect(seen.astype(np.uint8))
    bounds = np.s_[top : top + height, left : left + width]
    pixels, seen = pixels[bounds].copy(), seen[bounds]
    shown, hidden = pixels[seen], np.count_nonzero(~seen)
    pixels[~seen] = shown[np.arange(hidden) * len(shown) // max(hidden, 1)]
    return pixels


def choose_look(data: bytes, chooser: Chooser, limits: Limits | None = None) -> Look:
    """Tell the look of an encoded picture, without grading it.

    Parameters
    ----------
    data : bytes
    chooser : callable
    limits : Limits | None

    Returns
    -------
    Look

    Raises
    ------
    ImageError
        One of its subclasses.
    """
    return _analyse(_decode_for_proxy(data, limits), chooser).look


def load_proxy(data: bytes, limits: Limits | None = None) -> Proxy:
    """Decode a picture to its proxy.

    Parameters
    ----------
    data : bytes
    limits : Limits | None

    Returns
    -------
    ndarray
        (h, w, 3) BGR, uint8 or uint16, as `make_proxy` makes it.

    Raises
    ------
    ImageError
        One of its subclasses.
    """
    photo = _decode_for_proxy(data, limits)
    return _in_srgb(judged(make_proxy(_visible(photo))), photo.header.icc_profile)


def _decode_for_proxy(data: bytes, limits: Limits | None) -> Photo:
    header = probe(data)
    check_limits(header, limits or Limits())
    return decode(data, header, _PROXY_MIN_SIDE)


def make_preview(data: bytes, limits: Limits | None = None) -> bytes:
    """Encode the proxy of a picture as a JPEG that has pixels only: no profile, no EXIF.

    Parameters
    ----------
    data : bytes
    limits : Limits | None

    Returns
    -------
    bytes

    Raises
    ------
    ImageError
        One of its subclasses.
    """
    photo = _decode_for_proxy(data, limits)
    proxy = _in_srgb(make_proxy(photo.pixels), photo.header.icc_profile)
    return encode_jpeg(with_dtype(proxy, np.dtype(np.uint8)), _PREVIEW_QUALITY)


def _fitted(photo: Photo, output: Output) -> Photo:
    """Fit the picture into `max_size`: before the grade, for there are fewer pixels then, and no dither to blur."""
    height, width = photo.pixels.shape[:2]
    fitted = output.fitted_size((width, height))
    return photo if fitted == (width, height) else _resized(photo, fitted)


def _resized(photo: Photo, size: tuple[int, int]) -> Photo:
    if photo.alpha is None:
        return photo._replace(pixels=cv2.resize(photo.pixels, size, interpolation=cv2.INTER_AREA))
    # Weighed by alpha, or what hides in transparent pixels would bleed into their neighbours. The product of two bytes
    # fits uint16, half the memory of float32; for the same reason channel by channel.
    dtype = photo.pixels.dtype
    wide = np.uint16 if dtype == np.uint8 else np.float32
    alpha = cv2.resize(photo.alpha.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    pixels = np.empty((*alpha.shape, 3), dtype)
    for channel in range(3):
        weighed = np.multiply(photo.pixels[..., channel], photo.alpha, dtype=wide)
        plane = cv2.resize(weighed, size, interpolation=cv2.INTER_AREA).astype(np.float32, copy=False)
        plane /= np.maximum(alpha, 1e-6)
        pixels[..., channel] = np.rint(plane, out=plane).clip(0, np.iinfo(dtype).max, out=plane)
    return photo._replace(pixels=pixels, alpha=np.rint(alpha).astype(dtype))


def auto_correct_pixels(image_rgb: NDArray[Any]) -> NDArray[Any]:
    """Do what `studio.tone_mapping.auto_correct` says."""
    native = image_rgb.dtype.newbyteorder("=")
    if native not in _PIXEL_TYPES or image_rgb.ndim != 3 or image_rgb.shape[2] != 3 or image_rgb.size == 0:
        raise ValueError(
            f"pixels are (h, w, 3) of uint8, uint16 or float32, got {image_rgb.shape} of {image_rgb.dtype}"
        )
    # A copy in any case: of an array that is a reversed view, as of BGR, the reverse is the caller's own.
    pixels = np.array(image_rgb[..., ::-1], native, order="C")
    proxy = make_proxy(pixels)
    if proxy.dtype == np.float32:
        proxy = np.rint(np.clip(proxy, 0, 1) * 65535).astype(np.uint16)
    proxy = judged(proxy)
    adjustments = choose(analyse_proxy(proxy), predict(proxy)).adjustments
    bit_depth = 8 if pixels.dtype == np.uint8 else 16
    graded = apply_lut(pixels, compile_lut(adjustments, lut_size(adjustments, bit_depth)), out=pixels)
    return np.ascontiguousarray(graded[..., ::-1], image_rgb.dtype)
