from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio.minimatics.models import Project
from studio.minimatics.segments import frame_costs, plan_film
from studio.minimatics.timeline import Timeline
from tests.unit.minimatics.conftest import make_project
from tests.unit.minimatics.test_timeline import projects


@given(projects(), st.integers(1, 12))
def test_segments_are_all_of_the_film_in_order(project: Project, count: int) -> None:
    timeline = Timeline(project)
    plan = plan_film(timeline, segments=count)
    edges = [(segment.start_frame, segment.end_frame) for segment in plan.segments]
    assert edges[0][0] == 0
    assert edges[-1][1] == plan.frames == timeline.frames
    assert all(before[1] == after[0] for before, after in pairwise(edges))
    assert all(end - start >= min(8, timeline.frames) for start, end in edges)
    assert len(edges) <= count
    assert plan.cost_seconds == pytest.approx(sum(frame_costs(timeline)), abs=0.001 * count)


def test_similar_shots_are_cut_at_their_boundaries() -> None:
    shot = {"duration_frames": 100, "transition": {"type": "dissolve", "duration_frames": 20}, "motion": "ken_burns_in"}
    timeline = Timeline(make_project(*[shot] * 39, {"duration_frames": 100}))
    plan = plan_film(timeline, segments=8)
    assert len(plan.segments) == 8
    edges = {*timeline.starts, *(timeline.end(number) for number in range(40))}
    assert all(segment.start_frame in edges for segment in plan.segments)
    costs = [segment.cost_seconds for segment in plan.segments]
    assert max(costs) < 1.5 * sum(costs) / 8


def test_a_long_shot_is_cut_within_and_a_transition_only_where_it_must_be() -> None:
    long = {"duration_frames": 1000}
    timeline = Timeline(
        make_project(long | {"transition": {"type": "dissolve", "duration_frames": 300}}, long, size="1080p")
    )
    plan = plan_film(timeline, segments=5)
    inside = [segment.start_frame for segment in plan.segments if timeline.moment(segment.start_frame).second]
    assert len(plan.segments) == 5
    assert inside in ([], [700])  # which is where it begins
    tight = plan_film(timeline, segments=20)
    assert any(700 < segment.start_frame < 1000 for segment in tight.segments)
    costs = [segment.cost_seconds for segment in tight.segments]
    assert max(costs) < 1.5 * sum(costs) / 20 + max(frame_costs(timeline))


def test_the_target_sets_how_many_there_are() -> None:
    timeline = Timeline(make_project(*[{"duration_frames": 100}] * 40, size="1080p"))
    plan = plan_film(timeline, target_seconds=60)
    assert len(plan.segments) == round(sum(frame_costs(timeline)) / 60)
    assert max(segment.cost_seconds for segment in plan.segments) < 90
    assert plan_film(timeline).segments[0].end_frame == 4000


def test_there_are_no_more_segments_than_allowed_whatever_they_cost() -> None:
    timeline = Timeline(make_project(*[{"duration_frames": 100}] * 40, size="1080p"))
    plan = plan_film(timeline, target_seconds=1, segments_max=30)
    assert len(plan.segments) == 30
    assert plan.segments[-1].end_frame == 4000
    assert len(plan_film(timeline, target_seconds=60, segments_max=30).segments) < 30
