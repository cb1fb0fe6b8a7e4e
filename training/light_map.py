"""Fit the filters of `studio.tone_mapping.light_map` to the samples: softmax over every light that there may be."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from studio.tone_mapping.colour import Array
from studio.tone_mapping.learned import SLIDERS
from studio.tone_mapping.light_map import (
    BINS,
    DESCRIBED,
    GREEN_STEP,
    WARM_STEP,
    describe,
    probabilities,
    scores,
    spectra,
)
from training.samples import Samples

PARTS = 2  # of the photographs: what describes one is fitted to the others
STEPS = 40  # of the descent: more fits the photographs, not others
SMOOTHNESS, SMALLNESS = 1e-3, 1e-4  # how much of rough and of large filters the loss is charged with
EVERY = 5  # of the samples: photographs, not samples, are what it lacks
NEAR = 1.0  # bins: a light this near to the true one is nearly as good
FITTED = ("good", "under", "warm_cool", "tint", "mix_dark_cast", "wrong_balance", "near", "far")
MOST = (98, 78)  # temperature and tint: more is held to the sliders' range, and is no true measure


def fit_filters(samples: Samples, chosen: NDArray[np.bool_]) -> Array:
    """Fit filters to the casts of some of the samples.

    Parameters
    ----------
    samples : dict of str to ndarray
        Of `make_samples`.
    chosen : ndarray of bool
        (n,), which of them; those that tell nothing of the light are left out.

    Returns
    -------
    ndarray of float32
        (2, `BINS`, `BINS`).
    """
    temperature, tint = (samples["targets"][:, SLIDERS.index(slider)] for slider in ("temperature", "tint"))
    measured = (np.abs(temperature) < MOST[0]) & (np.abs(tint) < MOST[1])
    rows = np.flatnonzero(chosen & measured & np.isin(samples["name"], FITTED))[::EVERY]
    of = spectra(samples["colours"][rows])
    wanted = _wanted(temperature[rows], tint[rows])
    warm, green = (2 * np.sin(np.pi * frequency(BINS)) for frequency in (np.fft.fftfreq, np.fft.rfftfreq))
    charge = SMALLNESS + SMOOTHNESS * (warm[:, None] ** 2 + green[None] ** 2)

    def loss(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        filters = flat.reshape(2, BINS, BINS)
        charged = np.fft.irfft2(np.fft.rfft2(filters) * charge, s=(BINS, BINS))
        total, slope = float((filters * charged).sum()) / 2, charged
        for start in range(0, len(rows), 2000):
            part = slice(start, start + 2000)
            likely = probabilities(scores(of[part], filters))
            total -= float((wanted[part] * np.log(likely + 1e-30)).sum()) / len(rows)
            pull = np.fft.rfft2(likely - wanted[part])
            slope = slope + np.fft.irfft2((of[part] * np.conj(pull)[:, None]).sum(0), s=(BINS, BINS)) / len(rows)
        return total, slope.ravel()

    found = minimize(loss, np.zeros(2 * BINS * BINS), jac=True, method="L-BFGS-B", options={"maxiter": STEPS})
    filters: Array = found.x.reshape(2, BINS, BINS).astype(np.float32)
    return filters


def _wanted(temperature: NDArray[Any], tint: NDArray[Any]) -> Array:
    """Place the cast that sliders take back, spread over the bins about it."""
    places = np.fft.fftfreq(BINS, 1 / BINS)
    spread = []
    for at in (-0.016 * temperature / WARM_STEP, 0.008 * tint / GREEN_STEP):
        away = (places - at[:, None] + BINS / 2) % BINS - BINS / 2
        share = np.exp(-(away**2) / (2 * NEAR**2))
        spread.append(share / share.sum(1, keepdims=True))
    wanted: Array = (spread[0][:, :, None] * spread[1][:, None, :]).astype(np.float32)
    return wanted


def described(samples: Samples) -> NDArray[np.float32]:
    """Describe every sample's light by filters that were fitted to other photographs than its own.

    Parameters
    ----------
    samples : dict of str to ndarray
        Of `make_samples`.

    Returns
    -------
    ndarray of float32
        (n, `light_map.DESCRIBED`).
    """
    told = np.zeros((len(samples["photo"]), DESCRIBED), np.float32)
    for part in range(PARTS):
        own = samples["photo"] % PARTS == part
        told[own] = describe(spectra(samples["colours"][own]), fit_filters(samples, ~own))
    return told
