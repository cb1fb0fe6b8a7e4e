"""Tone mapping: pictures graded by sliders that are compiled into one 3D LUT.

Pure code: no AWS, no database, no web framework, nothing read from the environment.
"""

from studio.tone_mapping.pipeline import auto_correct_pixels as auto_correct

# Part of every cache key: raise it whenever the same request would give other pixels.
ENGINE_VERSION = "1"

__all__ = ["ENGINE_VERSION", "auto_correct"]
