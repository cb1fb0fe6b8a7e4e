"""A LUT over pixels: OpenColorIO on every core, dithered where it is written at 8 bits."""

import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import PyOpenColorIO as ocio  # noqa: N813
from numpy.typing import NDArray

from studio.tone_mapping.dither import TILE, WHITE, dither_pattern, dither_to_8_bits
from studio.tone_mapping.lut import Lut, identity_lut

_DEPTHS = {
    np.dtype(np.uint8): ocio.BIT_DEPTH_UINT8,
    np.dtype(np.uint16): ocio.BIT_DEPTH_UINT16,
    np.dtype(np.float32): ocio.BIT_DEPTH_F32,
}

_STRIPS = 8  # a core: so that all of them end at about the same time


class LutProcessor:
    """A LUT, made ready for pixels of one type, which takes more than ten milliseconds for one of 65 nodes.

    Parameters
    ----------
    lut : ndarray of float32
        As `compile_lut` makes it.
    dtype : dtype
        Of the pixels: uint8, uint16 or float32.
    """

    def __init__(self, lut: Lut, dtype: np.dtype[Any]) -> None:
        self._dtype = dtype
        self._is_dithered = dtype == np.uint8
        self._processor: Any = None  # the identity needs none
        if not np.array_equal(lut, identity_lut(lut.shape[0])):
            target = np.dtype(np.uint16) if self._is_dithered else dtype
            # What is dithered comes out as 8-bit codes times 256.
            scaled = lut * np.float32(WHITE / 65535) if self._is_dithered else lut
            self._processor = _processor(scaled, _DEPTHS[dtype], _DEPTHS[target])

    def apply(self, pixels: NDArray[Any], threads: int | None = None, out: NDArray[Any] | None = None) -> NDArray[Any]:
        """Run pixels through the LUT, tetrahedrally.

        Parameters
        ----------
        pixels : ndarray
            (h, w, 3) BGR, display-encoded; float32 is 0..1, and clamped.
        threads : int | None
            Cores to use; all of them by default. The answer is the same, to the bit, for any number.
        out : ndarray | None
            Where to write: contiguous, like `pixels`, which it may be itself. A new array by default.

        Returns
        -------
        ndarray
            Of the shape and type of `pixels`. 8 bits are dithered; an identity LUT returns the pixels exactly.
        """
        pixels = np.ascontiguousarray(pixels)
        if out is None:
            out = np.empty_like(pixels)
        if self._processor is None:
            out[...] = pixels
            return out

        height, width, _ = pixels.shape
        pattern = dither_pattern(width if self._is_dithered else 0)
        threads = threads or os.cpu_count() or 1
        # The dither's passes find a short strip in a core's cache; without it, calls are all that strips cost.
        rows = TILE if self._is_dithered else max(TILE, -(-height // (_STRIPS * threads)))

        def grade_strip(top: int) -> None:
            source, target = pixels[top : top + rows], out[top : top + rows]
            graded = np.empty(source.shape, np.uint16) if self._is_dithered else target
            self._processor.apply(_describe(source), _describe(graded))
            if self._is_dithered:
                dither_to_8_bits(graded, target, pattern[: len(graded)])

        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(grade_strip, range(0, height, rows)))
        return out


def apply_lut(
    pixels: NDArray[Any], lut: Lut, threads: int | None = None, out: NDArray[Any] | None = None
) -> NDArray[Any]:
    """Run pixels through a LUT that is needed once.

    Parameters
    ----------
    pixels : ndarray
        Of uint8, uint16 or float32.
    lut : ndarray of float32
    threads : int | None
    out : ndarray | None
        All of them as `LutProcessor` takes them.

    Returns
    -------
    ndarray
        As `LutProcessor.apply` does.
    """
    return LutProcessor(lut, pixels.dtype).apply(pixels, threads, out)


def _processor(lut: Lut, source: Any, target: Any) -> Any:
    # The LUT is turned to blue, green, red, and OpenColorIO told that pixels are RGB: its Python binding miscounts the
    # channels of CHANNEL_ORDERING_BGR as four. Tetrahedra do not mind which axis is which.
    turned = np.ascontiguousarray(lut.transpose(2, 1, 0, 3)[..., ::-1])
    transform = ocio.Lut3DTransform(gridSize=lut.shape[0], interpolation=ocio.INTERP_TETRAHEDRAL)
    transform.setData(turned.reshape(-1))
    config = ocio.Config.CreateRaw()
    config.setProcessorCacheFlags(ocio.PROCESSOR_CACHE_OFF)  # it hashes every value, and each config is used once
    return config.getProcessor(transform).getOptimizedCPUProcessor(source, target, ocio.OPTIMIZATION_LOSSLESS)


def _describe(strip: NDArray[Any]) -> Any:
    """OpenColorIO's view of a strip; it shares memory with contiguous arrays of one dimension only."""
    height, width, _ = strip.shape
    size = strip.itemsize
    return ocio.PackedImageDesc(
        strip.reshape(-1),
        width,
        height,
        ocio.CHANNEL_ORDERING_RGB,
        _DEPTHS[strip.dtype],
        size,
        3 * size,
        3 * size * width,
    )
