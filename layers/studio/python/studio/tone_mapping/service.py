"""What the tone-mapping functions do: fetch the image, run the pipeline, deliver the result."""

import base64
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import NamedTuple

from studio import storage
from studio.caller import Caller
from studio.documents import new_id
from studio.errors import InvalidFieldError, StudioError, TooLargeError, UnsupportedMediaError
from studio.image_source import ImageSource, load_image
from studio.object_keys import result_key
from studio.observability import tracer
from studio.tone_mapping import pipeline
from studio.tone_mapping.cube import write_cube
from studio.tone_mapping.encode import Output
from studio.tone_mapping.errors import ImageError, ImageTooLargeError, UnsupportedImageError
from studio.tone_mapping.lut import compile_lut, lut_id
from studio.tone_mapping.models import (
    AutoCorrectRequest,
    AutoStep,
    CreateLutRequest,
    CreateLutResponse,
    Format,
    GradedImageResponse,
    ImageStatistics,
    OutputOptions,
)
from studio.tone_mapping.probe import Limits
from studio.tone_mapping.settings import ToneMappingSettings


class Delivery(NamedTuple):
    """Where a result is: inline, or stored under a key with a URL to it."""

    image: str | None = None
    image_url: str | None = None
    expires_at: datetime | None = None
    result_key: str | None = None


def auto_correct(caller: Caller, request: AutoCorrectRequest, request_id: str) -> GradedImageResponse:
    """Choose sliders for an image and apply them.

    Parameters
    ----------
    caller : Caller
    request : AutoCorrectRequest
    request_id : str
        Told in the answer.

    Returns
    -------
    GradedImageResponse

    Raises
    ------
    StudioError
        4xx where the image cannot be had, read or delivered as asked.
    """
    caller.require("grade")
    settings = ToneMappingSettings.load()
    started = time.perf_counter()
    data = load_image(request, caller)
    loaded = time.perf_counter()
    with _explained(request):
        graded = pipeline.auto_correct(
            data,
            output=_output(request.output),
            limits=Limits(max_pixels=settings.image_max_pixels, max_dimension=settings.image_max_dimension),
            strength=request.strength,
        )
    finished = time.perf_counter()
    delivery = _deliver(caller, graded.data, graded.format, request.output)
    timings = {
        "load": (loaded - started) * 1000,
        **graded.timings_ms,
        "deliver": (time.perf_counter() - finished) * 1000,
    }
    tracer.put_metadata("timings_ms", timings)
    return GradedImageResponse(
        **delivery._asdict(),
        format=graded.format,
        width=graded.width,
        height=graded.height,
        size_bytes=len(graded.data),
        adjustments=graded.adjustments,
        confidence=graded.confidence,
        steps=[AutoStep(name=step.name, applied=step.applied, reason=step.reason) for step in graded.steps],
        statistics={
            "before": ImageStatistics.model_validate(graded.statistics["before"]),
            "after": ImageStatistics.model_validate(graded.statistics["after"]),
        },
        lut_id=graded.lut_id,
        timings_ms={name: round(value, 2) for name, value in timings.items()},
        request_id=request_id,
    )


def create_lut(caller: Caller, request: CreateLutRequest) -> CreateLutResponse:
    """Compile sliders into a LUT.

    Parameters
    ----------
    caller : Caller
    request : CreateLutRequest

    Returns
    -------
    CreateLutResponse
    """
    caller.require("grade")
    lut = compile_lut(request.adjustments, request.size)
    return CreateLutResponse(lut_id=lut_id(lut), size=request.size, cube=write_cube(lut, request.title))


def _output(options: OutputOptions) -> Output:
    return Output(
        format=options.format, quality=options.quality, bit_depth=options.bit_depth, max_size=options.max_size
    )


@contextmanager
def _explained(source: ImageSource) -> Iterator[None]:
    """Turn what the pipeline finds wrong with an image into an answer that names the field it came in."""
    field = next(name for name in ("image", "image_key", "image_url") if getattr(source, name) is not None)
    try:
        yield
    except ImageError as error:
        answer: type[StudioError] = InvalidFieldError
        if isinstance(error, UnsupportedImageError):
            answer = UnsupportedMediaError
        elif isinstance(error, ImageTooLargeError):
            answer = TooLargeError
        raise answer(error.message, code=error.code, field=field) from error


def _deliver(caller: Caller, data: bytes, image_format: Format, options: OutputOptions) -> Delivery:
    limit = ToneMappingSettings.load().inline_result_max_bytes
    if options.delivery == "inline" and len(data) > limit:
        raise TooLargeError(
            f"an inline result may have {limit:,} bytes; this one has {len(data):,}; ask for delivery by url",
            code="RESULT_TOO_LARGE",
            field="output.delivery",
        )
    if options.delivery == "inline" or (options.delivery == "auto" and len(data) <= limit):
        return Delivery(image=base64.b64encode(data).decode())
    key = result_key(caller.user_id, new_id("res"), image_format)
    storage.write(key, data, f"image/{image_format}", tags={"kind": "result"})
    url, expires_at = storage.presign_download(key)
    return Delivery(image_url=url, expires_at=expires_at, result_key=key)
