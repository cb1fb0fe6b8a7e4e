"""A look: grades one after another, collapsed into one LUT."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from studio.tone_mapping.adjustments import SPATIAL, Adjustments
from studio.tone_mapping.apply import apply_lut
from studio.tone_mapping.lut import Lut, chain_size, compile_lut, grade_lut, identity_lut, lut_size


class Table(NamedTuple):
    """A grade that is a LUT of its own, as a preset made elsewhere is.

    Attributes
    ----------
    lut : ndarray of float32
        As `compile_lut` makes it.
    strength : float
        Share of its effect, 0..100 percent: every colour goes this far of its way.
    """

    lut: Lut
    strength: float = 100


Grade = Adjustments | Table


def compile_look(grades: Sequence[Grade], size: int) -> Lut:
    """Sample grades, each on what the one before made, over display-encoded sRGB.

    Parameters
    ----------
    grades : sequence of Adjustments or Table
        In the order of their application; none are the identity.
    size : int
        Nodes an axis.

    Returns
    -------
    ndarray of float32
        As `compile_lut` makes it.
    """
    lut = identity_lut(size)
    for number, stage in enumerate(grades):
        if isinstance(stage, Table):
            lut = _through_table(lut, stage)
        elif stage.without_spatial() != Adjustments():
            # Sliders work on what is shown: a table before them may pass 0..1.
            lut = compile_lut(stage, size) if number == 0 else grade_lut(lut.clip(0, 1), stage)
    return lut


def _through_table(lut: Lut, table: Table) -> Lut:
    size = lut.shape[0]
    # As a picture of size² rows, which keeps the strips of apply_lut long.
    pixels = np.ascontiguousarray(lut.reshape(size * size, size, 3)[..., ::-1])
    moved = apply_lut(pixels, table.lut)[..., ::-1].reshape(lut.shape)
    if table.strength == 100:
        return np.ascontiguousarray(moved)
    # An imported table may pass 0..1: half of the way to a colour is half of the way to the one that is shown.
    mixed: Lut = lut + (moved.clip(0, 1) - lut) * np.float32(table.strength / 100)
    return mixed


def look_size(grades: Sequence[Grade], bit_depth: int) -> int:
    """Tell the nodes an axis that these grades take: a table's own where it is alone, at least 65 together.

    Sliders are measured together, as if tables did nothing; where there are any, each alone, too.

    Parameters
    ----------
    grades : sequence of Adjustments or Table
    bit_depth : int
        Of the picture.

    Returns
    -------
    int
        2..129.
    """
    moving = [stage for stage in grades if isinstance(stage, Table) or stage.without_spatial() != Adjustments()]
    if len(moving) > 1:
        tables = [stage.lut.shape[0] for stage in moving if isinstance(stage, Table)]
        sliders = [stage for stage in moving if isinstance(stage, Adjustments)]
        chains = [sliders, *([stage] for stage in sliders if tables)]
        return max([65, *tables, *(chain_size(chain) for chain in chains if chain)])
    only = moving[0] if moving else Adjustments()
    return only.lut.shape[0] if isinstance(only, Table) else lut_size(only, bit_depth)


def spatial_sliders(grades: Sequence[Grade]) -> dict[str, float]:
    """Sum the sliders that no LUT holds over all grades, each within -100..100.

    Parameters
    ----------
    grades : sequence of Adjustments or Table

    Returns
    -------
    dict of str to float
        ``clarity texture dehaze``.
    """
    sliders = [stage for stage in grades if isinstance(stage, Adjustments)]
    return {name: float(np.clip(sum(getattr(stage, name) for stage in sliders), -100, 100)) for name in SPATIAL}
