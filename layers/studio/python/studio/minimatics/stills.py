"""From a shot of a project to the still that its camera moves over: decoded, graded, in the film's colours."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from studio.minimatics.errors import MediaError
from studio.minimatics.models import Project, Shot, ShotGrade, bgr_of
from studio.minimatics.motion import CameraPath, Pixels, Still, camera_path, needed_size
from studio.minimatics.sources import Sources, missing
from studio.tone_mapping.errors import ImageError
from studio.tone_mapping.icc import to_srgb
from studio.tone_mapping.look import Grade
from studio.tone_mapping.pipeline import Chooser, automatic, fixed, grade_still
from studio.tone_mapping.probe import Limits, check_limits, probe


def load_still(project: Project, number: int, sources: Sources) -> Still:
    """Make a shot ready to be rendered.

    Parameters
    ----------
    project : Project
    number : int
        Of the shot.
    sources : Sources

    Raises
    ------
    MediaError
        Where its picture or preset is missing or cannot be used.
    """
    shot = project.shots[number]
    chooser = _chooser(shot.grade or ShotGrade(), f"shots.{number}.grade.preset_id", sources)
    field = f"shots.{number}.image_key"
    background = bgr_of(project.background)
    try:
        data = sources.image(shot.image_key)
        path = _path(project, shot, data)
        photo = grade_still(data, chooser, needed_size(path, project.size))
    except (LookupError, OSError) as error:
        raise missing(field, shot.image_key, error) from error
    except ImageError as error:
        raise MediaError(field, f"{shot.image_key}: {error.message}") from error
    pixels = to_srgb(photo.pixels, photo.header.icc_profile)
    return Still(_over(pixels, photo.alpha, background), path, project.size, background)


def check_still(project: Project, number: int, sources: Sources, known: dict[str, str | None]) -> list[MediaError]:
    """Tell what of a shot's picture and preset is missing or no picture; pixels are not decoded.

    Parameters
    ----------
    project : Project
    number : int
    sources : Sources
    known : dict of str to str or None
        What is wrong with each picture that was looked at, by its key; this one is added.
    """
    shot = project.shots[number]
    problems = []
    try:
        _chooser(shot.grade or ShotGrade(), f"shots.{number}.grade.preset_id", sources)
    except MediaError as problem:
        problems.append(problem)
    field, key = f"shots.{number}.image_key", shot.image_key
    if key not in known:
        known[key] = _problem(field, key, sources)
    if message := known[key]:
        problems.append(MediaError(field, message))
    return problems


def _problem(field: str, key: str, sources: Sources) -> str | None:
    try:
        check_limits(probe(sources.image(key)), Limits())
    except (LookupError, OSError) as error:
        return missing(field, key, error).message
    except ImageError as error:
        return f"{key}: {error.message}"
    return None


def _path(project: Project, shot: Shot, data: bytes) -> CameraPath:
    picture = probe(data).displayed_size
    return camera_path(shot.motion, shot.duration_frames, picture, project.size, project.fit)


def _chooser(grade: ShotGrade, field: str, sources: Sources) -> Chooser:
    then: list[Grade] = []
    if grade.preset_id is not None:
        try:
            then.append(sources.preset(grade.preset_id, grade.strength))
        except (LookupError, OSError) as error:
            raise missing(field, grade.preset_id, error) from error
    if grade.adjustments is not None:
        then.append(grade.adjustments)
    return automatic(100, *then) if grade.auto else fixed(*then)


def _over(pixels: Pixels, alpha: NDArray[Any] | None, background: tuple[int, int, int]) -> Pixels:
    if alpha is None:
        return pixels
    ground = np.full_like(pixels, background)
    share = cv2.merge([alpha] * 3)
    return cv2.add(
        cv2.multiply(pixels, share, scale=1 / 255),
        cv2.multiply(ground, 255 - share, scale=1 / 255),
    )
