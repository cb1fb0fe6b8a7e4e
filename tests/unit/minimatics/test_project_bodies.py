"""Whatever is sent as a project is a project or is refused with reasons: never an error of ours."""

import copy
import json
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from studio.minimatics.api_models import UpdateProjectRequest
from studio.minimatics.references import _objects, _presets
from studio.minimatics.service import film_fields

ROOT = Path(__file__).parents[3]

WHOLE: dict[str, Any] = {
    "name": "Fox",
    "version": 3,
    "size": {"width": 640, "height": 360},
    "fps": "24000/1001",
    "shots": [
        {
            "image_key": "a",
            "duration_frames": 30,
            "motion": {"from": {"zoom": 2}, "to": {"x": 0.1}},
            "transition": {"type": "wipe", "duration_frames": 6, "direction": "up"},
            "caption": {"text": "Hello", "style": {"size": 0.1}, "start_frame": 2, "end_frame": 9},
            "grade": {"auto": True, "preset_id": "builtin_noir", "adjustments": {"exposure": 1}},
        },
        {"image_key": "b", "duration_frames": 30},
    ],
    "audio": [{"audio_key": "c", "role": "voice", "start_seconds": 1, "trim": {"end_seconds": 2}}],
    "output": {"codec": "vp9", "poster_frame": 3},
}


def paths(node: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [path, *(found for key, value in items for found in paths(value, (*path, key)))]


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([10**400, 10**401, 0, -1])
    | st.floats()
    | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(paths(WHOLE)[1:]), JSON), min_size=1, max_size=3))
def test_no_body_is_too_wrong_to_be_refused(changes: list[tuple[tuple[str | int, ...], Any]]) -> None:
    body = copy.deepcopy(WHOLE)
    for path, value in changes:
        node: Any = body
        with suppress(TypeError, LookupError):  # an earlier change took its place away
            for key in path[:-1]:
                node = node[key]
            node[path[-1]] = value
    body = json.loads(json.dumps(body))
    list(_objects(body))
    list(_presets(body))
    with suppress(ValidationError):  # and nothing else
        film_fields(UpdateProjectRequest.model_validate(body))


def test_the_film_is_stored_with_every_default_and_read_again() -> None:
    request = UpdateProjectRequest.model_validate(WHOLE)
    fields = film_fields(request)
    film = fields["film"]
    assert film["background"] == "#000000"
    assert film["shots"][0]["motion"]["from"] == {"x": 0.5, "y": 0.5, "zoom": 2.0}
    assert "name" not in film
    assert "version" not in film
    assert (fields["shot_count"], fields["duration_frames"]) == (2, 54)
    assert fields["duration_seconds"] == pytest.approx(54 * 1001 / 24000, abs=1e-9)
    again = UpdateProjectRequest.model_validate(film | {"name": "Fox", "version": 3})
    assert again == request


def test_a_body_that_is_wrong_all_over_fits_a_function() -> None:
    code = (
        "from pathlib import Path\n"
        "from pydantic import ValidationError\n"
        "from studio.minimatics.api_models import CreateProjectRequest\n"
        "try:\n"
        "    CreateProjectRequest.model_validate({'shots': [{f'field_{n}': 0 for n in range(200_000)}]})\n"
        "except ValidationError as error:\n"
        "    peak = Path('/proc/self/status').read_text().partition('VmHWM:')[2].split()[0]\n"
        "    print(error.error_count(), int(peak) >> 10)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    told, megabytes = map(int, done.stdout.split())
    assert told == 1000
    assert megabytes < 350  # of 512


@pytest.mark.parametrize("path", sorted(ROOT.glob("functions/minimatics/*/app.py")), ids=lambda path: path.parent.name)
def test_the_function_loads_no_imaging_library(path: Path) -> None:
    code = (
        f"import runpy, sys; runpy.run_path({str(path)!r});"
        "sys.exit(bool({'cv2', 'numpy', 'av', 'PIL', 'PyOpenColorIO'} & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
