"""LUTs as Adobe .cube text (Cube LUT Specification 1.0)."""

import numpy as np

from studio.tone_mapping.lut import Lut


def write_cube(lut: Lut, title: str) -> str:
    """Write a LUT of `compile_lut` as .cube: red runs fastest, six decimals.

    Quotes and line breaks in the title, which the format cannot hold, become spaces.
    """
    size = lut.shape[0]
    safe_title = "".join(" " if character in '"\r\n' else character for character in title)
    rows = np.ascontiguousarray(lut.transpose(2, 1, 0, 3)).reshape(-1)
    body = "%.6f %.6f %.6f\n" * size**3 % tuple(rows.tolist())
    return f'TITLE "{safe_title}"\nLUT_3D_SIZE {size}\nDOMAIN_MIN 0.0 0.0 0.0\nDOMAIN_MAX 1.0 1.0 1.0\n\n{body}'
