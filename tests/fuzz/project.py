"""Projects: any body is a project whose film can be planned, or is refused with what is wrong with it."""

import json
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import atheris

from tests.fuzz.harness import run

with atheris.instrument_imports(include=["studio"]):
    from pydantic import ValidationError

    from studio.json_body import read_json
    from studio.minimatics.edl import write_edl
    from studio.minimatics.models import Project
    from studio.minimatics.segments import plan_film
    from studio.minimatics.subtitles import write_srt
    from studio.minimatics.timeline import Timeline

SHOT = {
    "image_key": "users/x/uploads/y",
    "duration_frames": 30,
    "motion": {"from": {"x": 0.5, "y": 0.5, "zoom": 1}, "to": {"x": 0.25, "y": 1, "zoom": 2.5}, "easing": "linear"},
    "transition": {"type": "dissolve", "duration_frames": 5},
    "caption": {"text": "Hello", "start_frame": 3, "end_frame": 20},
    "grade": {"preset_id": "builtin_noir", "strength": 50},
}
LAST = {"image_key": "users/x/uploads/y", "duration_frames": 10, "motion": "zoom_in"}
CLIP = {"audio_key": "users/x/uploads/z", "role": "music", "start_seconds": 0.5, "gain_db": -3, "fade_in_seconds": 1}
SEEDS = {
    "full": {"size": "720p", "fps": "24000/1001", "fit": "contain", "shots": [SHOT, LAST], "audio": [CLIP]},
    "plain": {"shots": [{"image_key": "k", "duration_frames": 1}]},
    "output": {"shots": [LAST], "output": {"codec": "vp9", "container": "webm", "poster_frame": 0}, "fps": 23.976},
}


VALUES: tuple[Any, ...] = (
    *(None, True, [], {}, "", "0", "cut", "1080p", "24000/1001", "1/0", -1, 0, 1, 2.5, 1e308, 10**30, float("nan")),
    *({"type": "wipe", "duration_frames": 3}, {"type": "cut"}, [{}], {"text": "\u202e\x00\n"}, {"$gt": ""}),
)


def test(data: bytes) -> None:
    """Validate JSON, or a project with some of its parts changed; where that passes plan a film that is short."""
    provider = atheris.FuzzedDataProvider(data)
    text = provider.ConsumeUnicodeNoSurrogates(3000) if provider.ConsumeProbability() < 0.1 else changed(provider)
    try:
        project: Project = read_json(Project, text)
    except ValidationError as error:
        error.errors(include_url=False)
        return
    timeline = Timeline(project)
    if timeline.frames < 2000:
        plan = plan_film(timeline, segments=3)
        assert plan.segments[-1].end_frame == timeline.frames, "a film's segments are not all of it"
        write_edl(timeline, "film")
        write_srt(timeline)
        for frame in (0, timeline.frames - 1):
            timeline.moment(frame)
    assert Project.model_validate(project.model_dump(by_alias=True)) == project, "a project is not what it was"


def changed(provider: atheris.FuzzedDataProvider) -> str:
    """Return a seed, some of whose parts are others."""
    project = {"project": deepcopy(provider.PickValueInList(list(SEEDS.values())))}
    for _ in range(provider.ConsumeIntInRange(0, 8)):
        container, key = provider.PickValueInList(list(parts(project)))
        container[key] = deepcopy(value(provider))
    return json.dumps(project["project"])


def value(provider: atheris.FuzzedDataProvider) -> Any:
    """Return something that a part may be."""
    match provider.ConsumeIntInRange(0, 4):
        case 0:
            return provider.ConsumeIntInRange(-5, 2000)
        case 1:
            return provider.ConsumeFloat()
        case 2:
            return provider.ConsumeUnicodeNoSurrogates(20)
        case 3:
            return [SHOT, LAST][: provider.ConsumeIntInRange(0, 2)]
        case _:
            return provider.PickValueInList(list(VALUES))


def parts(container: Any) -> Iterator[tuple[Any, Any]]:
    """Yield every part of nested lists and dictionaries, as the container and the key."""
    for key in list(container) if isinstance(container, dict) else range(len(container)):
        yield container, key
        if isinstance(container[key], dict | list):
            yield from parts(container[key])


if __name__ == "__main__":
    run("project", test, {str(length): bytes(length) for length in (1, 40, 200)}, 1000)
