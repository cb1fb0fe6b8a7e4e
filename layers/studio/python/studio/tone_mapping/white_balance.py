"""White balance: two sliders that scale channels, and a colour temperature that adapts from one light to another.

References
----------
Kang, B., Moon, O., Hong, C., Lee, H., Cho, B. and Kim, Y. (2002). Design of advanced color temperature control system
for HDTV applications. Journal of the Korean Physical Society, 41(6), 865-871: the Planckian locus by cubics (also Kim
et al., US patent 7,024,034).
Lam, K. M. (1985). Metamerism and colour constancy. University of Bradford: the cone responses.
"""

from functools import lru_cache

import numpy as np

from studio.tone_mapping.adjustments import AS_SHOT_KELVIN
from studio.tone_mapping.colour import LUMINANCE, XYZ_FROM_RGB, Array

_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])


def white_balance_gains(temperature: float, tint: float) -> Array:
    """Find gains of linear red, green and blue that keep the luminance of grey (von Kries in the RGB space itself).

    Parameters
    ----------
    temperature, tint : float
        -100..100, as `Adjustments` has them.

    Returns
    -------
    ndarray of float32
        (3,), gains of linear red, green and blue; ``LUMINANCE @ gains`` is 1.
    """
    gains: Array = np.exp2(np.array([0.008 * temperature, -0.008 * tint, -0.008 * temperature], np.float32))
    gains /= gains @ LUMINANCE
    return gains


@lru_cache(maxsize=16)
def white_balance_matrix(kelvin: float, tint: float) -> Array:
    """Find the 3 x 3 matrix of linear RGB that makes light of this temperature the picture's own white.

    It keeps the luminance of grey, and includes `tint`.

    Parameters
    ----------
    kelvin : float
        2000..50,000, of the light, as `Adjustments` has it.
    tint : float
        -100..100.

    Returns
    -------
    ndarray of float32
        (3, 3), read-only, to be multiplied by linear planes (3, n); of white it keeps the luminance, 1.
    """
    adapt = bradford(planckian_white(kelvin), planckian_white(AS_SHOT_KELVIN))
    matrix = white_balance_gains(0, tint)[:, None] * (np.linalg.inv(XYZ_FROM_RGB) @ adapt @ XYZ_FROM_RGB)
    balanced: Array = (matrix / (LUMINANCE @ matrix.sum(axis=1))).astype(np.float32)
    balanced.setflags(write=False)
    return balanced


def bradford(source: Array, target: Array) -> Array:
    """Find the 3 x 3 matrix of XYZ that adapts from one white (XYZ) to another, linear Bradford.

    Parameters
    ----------
    source, target : ndarray
        (3,), XYZ of white with Y = 1.

    Returns
    -------
    ndarray of float64
        (3, 3), to be multiplied by XYZ (3, n); ``matrix @ source`` is `target`.
    """
    gains = (_BRADFORD @ target) / (_BRADFORD @ source)
    matrix: Array = np.linalg.inv(_BRADFORD) @ (gains[:, None] * _BRADFORD)
    return matrix


def planckian_white(kelvin: float) -> Array:
    """Find XYZ, Y = 1, of a black body of 1667 K or more.

    The cubics are given up to 25,000 K; the same ones go on, and are within 0.0004 of Planck's law at 50,000 K.

    Parameters
    ----------
    kelvin : float
        1667..50,000.

    Returns
    -------
    ndarray of float64
        (3,).
    """
    x, y = planckian_xy(kelvin)
    return np.array([x / y, 1, (1 - x - y) / y])


def planckian_xy(kelvin: float) -> tuple[float, float]:
    """Find the CIE 1931 chromaticity of a black body by the cubics of Kang et al. (2002).

    Parameters
    ----------
    kelvin : float
        1667..50,000.

    Returns
    -------
    tuple of float
        x and y.
    """
    if kelvin <= 4000:
        x = -0.2661239e9 / kelvin**3 - 0.2343589e6 / kelvin**2 + 0.8776956e3 / kelvin + 0.179910
    else:
        x = -3.0258469e9 / kelvin**3 + 2.1070379e6 / kelvin**2 + 0.2226347e3 / kelvin + 0.240390
    if kelvin <= 2222:
        y = -1.1063814 * x**3 - 1.34811020 * x**2 + 2.18555832 * x - 0.20219683
    elif kelvin <= 4000:
        y = -0.9549476 * x**3 - 1.37418593 * x**2 + 2.09137015 * x - 0.16748867
    else:
        y = 3.0817580 * x**3 - 5.87338670 * x**2 + 3.75112997 * x - 0.37001483
    return x, y
