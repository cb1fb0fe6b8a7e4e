"""What the tone-mapping functions do: fetch the image, run the pipeline, deliver the result."""

import base64
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any, NamedTuple

from botocore.exceptions import BotoCoreError, ClientError

from studio import storage
from studio.caller import Caller
from studio.compute_tasks.models import TaskOptions
from studio.documents import new_id
from studio.errors import InvalidFieldError, StudioError, TooLargeError, UnsupportedMediaError
from studio.image_source import ImageSource, identify, identify_stored, load_image, load_stored
from studio.object_keys import result_key
from studio.observability import count, logger, tracer
from studio.tone_mapping import pipeline
from studio.tone_mapping.adjustments import Adjustments
from studio.tone_mapping.cache.service import Computed, find_or_compute, forget_entry, make_key
from studio.tone_mapping.cube import write_cube
from studio.tone_mapping.errors import ImageError, ImageTooLargeError, OutputError, UnsupportedImageError
from studio.tone_mapping.formats import Format
from studio.tone_mapping.look import Grade, compile_look, look_size, spatial_sliders
from studio.tone_mapping.lut import Lut, lut_id
from studio.tone_mapping.lut_table import write_json, write_png
from studio.tone_mapping.models import (
    AdjustRequest,
    AppliedGrade,
    ApplyPresetRequest,
    AutoCorrectRequest,
    CreateLutRequest,
    CreateLutResponse,
    GradedImageResponse,
    GradingRequest,
    OutputOptions,
)
from studio.tone_mapping.presets.files import find_grade, find_sliders, read_table
from studio.tone_mapping.probe import Limits
from studio.tone_mapping.read_adjustments import read_adjustments
from studio.tone_mapping.settings import ToneMappingSettings

_NOT_IN_THE_KEY: dict[str, Any] = {
    "image": True,
    "image_key": True,
    "image_url": True,
    "reference_key": True,  # what it names is: see _identify
    "use_cache": True,
    **dict.fromkeys(TaskOptions.model_fields, True),
    "output": {"delivery"},
}


class Delivery(NamedTuple):
    """Where a result is: inline, or stored under a key with a URL to it."""

    image: str | None = None
    image_url: str | None = None
    expires_at: datetime | None = None
    result_key: str | None = None


def auto_correct(caller: Caller, request: AutoCorrectRequest, request_id: str) -> GradedImageResponse:
    """Choose sliders for an image, by itself or by a reference, and apply them.

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
        4xx where the image or the reference cannot be had or read, or the result not be delivered as asked.
    """
    caller.require("grade")
    grades = [AppliedGrade(source="auto", strength=request.strength, adjustments=None)]
    return _grade(caller, request, request_id, lambda: _correcting(caller, request), grades)


def _correcting(caller: Caller, request: AutoCorrectRequest) -> pipeline.Chooser:
    if request.reference_key is None:
        return pipeline.automatic(request.strength, skip=request.skip)
    data = load_stored(request.reference_key, caller, "reference_key")
    with _explained("reference_key"):
        return pipeline.matching(pipeline.load_proxy(data, _limits()), request.strength, skip=request.skip)


def adjust(caller: Caller, request: AdjustRequest, request_id: str) -> GradedImageResponse:
    """Apply sliders to an image.

    Parameters
    ----------
    caller : Caller
    request : AdjustRequest
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
    grades = [AppliedGrade(source="adjustments", adjustments=request.adjustments)]
    return _grade(caller, request, request_id, lambda: pipeline.fixed(request.adjustments), grades)


def apply_preset(caller: Caller, request: ApplyPresetRequest, request_id: str) -> GradedImageResponse:
    """Apply a preset to an image, after automatic correction and before sliders where they are asked for.

    Parameters
    ----------
    caller : Caller
    request : ApplyPresetRequest
    request_id : str
        Told in the answer.

    Returns
    -------
    GradedImageResponse

    Raises
    ------
    StudioError
        4xx where the image cannot be had, read or delivered as asked, 404 where the caller has no such preset.
    """
    caller.require("grade")
    sliders = find_sliders(caller, request.preset_id, request.strength)
    after = [] if request.adjustments == Adjustments() else [request.adjustments]

    def make_chooser() -> pipeline.Chooser:  # a table is read where it is used: a hit needs none
        preset = read_table(caller, request.preset_id, request.strength) if sliders is None else sliders
        return pipeline.automatic(100, preset, *after) if request.auto else pipeline.fixed(preset, *after)

    grades = [
        *([AppliedGrade(source="auto", adjustments=None)] if request.auto else []),
        AppliedGrade(source="preset", preset_id=request.preset_id, strength=request.strength, adjustments=sliders),
        *(AppliedGrade(source="adjustments", adjustments=adjustments) for adjustments in after),
    ]
    return _grade(caller, request, request_id, make_chooser, grades)


def create_lut(caller: Caller, request: CreateLutRequest) -> CreateLutResponse:
    """Compile an image's correction, a preset and sliders into one LUT.

    Parameters
    ----------
    caller : Caller
    request : CreateLutRequest

    Returns
    -------
    CreateLutResponse

    Raises
    ------
    StudioError
        4xx where the image or the preset cannot be had, or the LUT not be delivered as asked.
    """
    caller.require("grade")
    grades: list[Grade] = []
    if request.auto:
        with _within("auto"):
            grades.append(_choose_sliders(caller, request.auto))
    if request.preset_id:
        grades.append(find_grade(caller, request.preset_id, request.strength))
    if request.adjustments:
        grades.append(request.adjustments)
    lut = compile_look(grades, request.size or min(look_size(grades, bit_depth=8), 65))
    told = CreateLutResponse(
        lut_id=lut_id(lut),
        size=lut.shape[0],
        format=request.format,
        spatial=[name for name, value in spatial_sliders(grades).items() if value],
    )
    return told.model_copy(update=_deliver_lut(caller, request, lut))


def _choose_sliders(caller: Caller, image: ImageSource) -> Adjustments:
    """Return the sliders of automatic correction, which are cached by the image alone."""

    def compute(_: bool = False) -> Computed:
        data = load_image(image, caller)
        with _explained(image.image_field):
            look = pipeline.choose_look(data, pipeline.automatic(100), _limits())
        return Computed({"adjustments": asdict(look.auto.adjustments)} if look.auto else {})

    identity = identify(image, caller)
    if identity is None:
        computed = compute()
    else:
        computed, _ = find_or_compute(caller, make_key("analysis", caller, *identity), "analysis", compute)
    return read_adjustments(computed.answer["adjustments"])


def _deliver_lut(caller: Caller, request: CreateLutRequest, lut: Lut) -> dict[str, Any]:
    match request.format:
        case "cube":
            data, content_type = write_cube(lut, request.title).encode(), "text/plain"
        case "png":
            data, content_type = write_png(lut), "image/png"
        case "json":
            data, content_type = write_json(lut), "application/json"
    limit = ToneMappingSettings.load().inline_lut_max_bytes
    if request.delivery == "inline" and len(data) > limit:
        raise TooLargeError(
            f"an inline LUT may have {limit:,} bytes; this one has {len(data):,}; ask for delivery by url",
            code="RESULT_TOO_LARGE",
            field="delivery",
        )
    if request.delivery == "url" or len(data) > limit:
        key = result_key(caller.user_id, new_id("res"), request.format)
        storage.write(key, data, content_type, tags={"kind": "result"})
        url, expires_at = storage.presign_download(key)
        return {"lut_url": url, "expires_at": expires_at}
    match request.format:
        case "cube":
            return {"cube": data.decode()}
        case "png":
            return {"png": base64.b64encode(data).decode()}
        case "json":
            return {"table": json.loads(data)}


def load_preview(caller: Caller, source: ImageSource) -> bytes:
    """Read an image as a small JPEG, without metadata.

    Parameters
    ----------
    caller : Caller
    source : ImageSource

    Returns
    -------
    bytes
        As small as `pipeline.load_proxy` makes it.

    Raises
    ------
    StudioError
        4xx where the image cannot be had or read.
    """
    data = load_image(source, caller)
    with _explained(source.image_field):
        return pipeline.make_preview(data, _limits())


def _grade(
    caller: Caller,
    request: GradingRequest,
    request_id: str,
    make_chooser: Callable[[], pipeline.Chooser],
    grades: list[AppliedGrade],
) -> GradedImageResponse:
    """Answer from the cache, or load, grade and keep; then deliver. The chooser is made only where it is used."""
    started = time.perf_counter()

    def compute(keep: bool) -> Computed:
        return _compute(caller, request, make_chooser, grades, keep=keep)

    images = None if request.dry_run or not request.use_cache else _identify(caller, request)
    if images is None:
        computed, is_hit = compute(False), False
    else:
        asked = request.model_dump_json(exclude=_NOT_IN_THE_KEY)
        look = json.dumps([grade.model_dump(mode="json") for grade in grades])
        key = make_key("result", caller, storage.address(), *images, asked, look)
        computed, is_hit = _find_whole(caller, key, request.output, compute)
    timings = {"cache": (time.perf_counter() - started) * 1000} if is_hit else computed.timings_ms
    started = time.perf_counter()
    delivery = Delivery() if request.dry_run else _deliver(caller, computed, request.output)
    timings["deliver"] = (time.perf_counter() - started) * 1000
    tracer.put_metadata("timings_ms", timings)
    return GradedImageResponse(
        **delivery._asdict(),
        **computed.answer,
        cache="hit" if is_hit else "miss",
        timings_ms={name: round(value, 2) for name, value in timings.items()},
        request_id=request_id,
    )


def _find_whole(
    caller: Caller, key: str, options: OutputOptions, compute: Callable[[bool], Computed]
) -> tuple[Computed, bool]:
    """Find or compute; a hit that goes out inline, but whose pixels are gone, is forgotten and computed anew.

    By URL the index is trusted, for asking the store takes longer than all the rest: what deletes a result takes its
    entry first, and the bucket's lifecycle is a day behind.
    """
    for _ in range(2):
        computed, is_hit = find_or_compute(caller, key, "result", compute)
        if not is_hit or not _goes_inline(computed, options):
            return computed, is_hit
        result = computed.result_key or ""
        if found := storage.read(result, computed.size_bytes):
            return replace(computed, data=found[0]), True
        forget_entry(caller, key, result)
    return compute(False), False


def _identify(caller: Caller, request: GradingRequest) -> tuple[str, ...] | None:
    """Name the content of every image of a request; None where only reading it would tell."""
    image = identify(request, caller)
    if image is None or not isinstance(request, AutoCorrectRequest) or request.reference_key is None:
        return image
    return (*image, *identify_stored(request.reference_key, caller, "reference_key"))


def _compute(
    caller: Caller,
    request: GradingRequest,
    make_chooser: Callable[[], pipeline.Chooser],
    grades: list[AppliedGrade],
    *,
    keep: bool,
) -> Computed:
    """Load and grade, and store the pixels where they are to be kept; auto's sliders go into the first of `grades`."""
    started = time.perf_counter()
    chooser = make_chooser()  # before the image is there: it may have to load one of its own
    data = load_image(request, caller)
    loaded = time.perf_counter()
    with _explained(request.image_field):
        graded = pipeline.grade_image(data, chooser, request.output, _limits(), dry_run=request.dry_run)
    timings = {"load": (loaded - started) * 1000, **graded.timings_ms}
    key, is_kept = None, keep
    if keep and graded.data is not None:
        started = time.perf_counter()
        try:
            key = _store(caller, graded.data, graded.format)
        except (BotoCoreError, ClientError):  # the answer is there, and may go out inline
            logger.exception("a result was not stored")
            count("ResultNotStored")
            is_kept = False
        timings["store"] = (time.perf_counter() - started) * 1000
    auto = graded.look.auto
    if auto:
        grades = [grades[0].model_copy(update={"adjustments": auto.adjustments}), *grades[1:]]
    named = next(grade for grade in grades if grade.source == "preset" or len(grades) == 1)
    answer = {
        "format": graded.format,
        "width": graded.width,
        "height": graded.height,
        "size_bytes": None if graded.data is None else len(graded.data),
        "adjustments": named.adjustments and asdict(named.adjustments),
        "confidence": auto.confidence if auto else None,
        "steps": [step._asdict() for step in auto.steps] if auto else [],
        "grades": [grade.model_dump(mode="json") for grade in grades],
        "statistics": graded.statistics,
        "lut_id": graded.lut_id,
    }
    return Computed(answer, key, len(graded.data or b""), graded.data, timings, is_kept)


def _limits() -> Limits:
    settings = ToneMappingSettings.load()
    return Limits(
        max_pixels=settings.image_max_pixels,
        max_scene_pixels=settings.scene_image_max_pixels,
        max_dimension=settings.image_max_dimension,
    )


@contextmanager
def _explained(field: str | None) -> Iterator[None]:
    """Turn what the pipeline finds wrong with an image into an answer that names the field it came in."""
    try:
        yield
    except ImageError as error:
        answer: type[StudioError] = InvalidFieldError
        if isinstance(error, UnsupportedImageError):
            answer = UnsupportedMediaError
        elif isinstance(error, ImageTooLargeError):
            answer = TooLargeError
        at = f"output.{error.field}" if isinstance(error, OutputError) else field
        raise answer(error.message, code=error.code, field=at) from error


@contextmanager
def _within(part: str) -> Iterator[None]:
    """Name the fields of a part of the request by their paths in the whole of it."""
    try:
        yield
    except StudioError as error:
        error.details = [detail.model_copy(update={"field": f"{part}.{detail.field}"}) for detail in error.details]
        raise


def _goes_inline(computed: Computed, options: OutputOptions) -> bool:
    limit, size = ToneMappingSettings.load().inline_result_max_bytes, computed.size_bytes
    if options.delivery == "inline" and size > limit:
        raise TooLargeError(
            f"an inline result may have {limit:,} bytes; this one has {size:,}; ask for delivery by url",
            code="RESULT_TOO_LARGE",
            field="output.delivery",
        )
    return options.delivery == "inline" or (options.delivery == "auto" and size <= limit)


def _deliver(caller: Caller, computed: Computed, options: OutputOptions) -> Delivery:
    data = computed.data or b""  # a hit that goes out by URL has none, and needs none
    if _goes_inline(computed, options):
        return Delivery(image=base64.b64encode(data).decode())
    key = computed.result_key or _store(caller, data, computed.answer["format"])
    url, expires_at = storage.presign_download(key)
    return Delivery(image_url=url, expires_at=expires_at, result_key=key)


def _store(caller: Caller, data: bytes, image_format: Format) -> str:
    key = result_key(caller.user_id, new_id("res"), image_format)
    storage.write(key, data, f"image/{image_format}", tags={"kind": "result"})
    return key
