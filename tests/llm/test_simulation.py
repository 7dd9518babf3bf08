"""Machines on paper: sums and bytes of the ring, timetables of the pipeline, their pictures, and what is refused."""

import xml.etree.ElementTree as ElementTree
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microlearn.llm import pipeline, ring_all_reduce
from microlearn.llm.simulation import Message

few = settings(max_examples=60, deadline=None)
machines, lengths = st.integers(1, 9), st.integers(0, 25)


def filled(n, length, dtype=np.int64):
    """Arrays in which every number has a decimal place of its own machine: a sum says who is in it."""
    return [np.full(length, 10**i, dtype=dtype) + np.arange(length, dtype=dtype) * 10**10 for i in range(n)]


# The ring


@few
@given(machines, lengths)
def test_every_machine_has_the_sum(n, length):
    arrays = filled(n, length)
    ring = ring_all_reduce(arrays)
    assert len(ring.arrays) == n
    for array in ring.arrays:
        np.testing.assert_array_equal(array, sum(arrays))


@few
@given(machines, lengths)
def test_each_machine_sends_twice_the_array_but_for_a_piece(n, length):
    ring = ring_all_reduce(filled(n, length))
    assert sum(ring.sent) == 2 * (n - 1) * length * 8, "each piece travels n - 1 times in each half"
    if length % n == 0:
        assert ring.sent == [2 * (n - 1) * length * 8 // n] * n
    assert max(ring.sent) <= 2 * (n - 1) * -(-length // n) * 8


@few
@given(machines)
def test_in_each_step_each_machine_sends_one_message_to_its_neighbour(n):
    messages = ring_all_reduce(filled(n, 20)).messages
    assert sorted({one.step for one in messages}) == list(range(2 * (n - 1)))
    for step in range(2 * (n - 1)):
        now = [one for one in messages if one.step == step]
        assert [one.sender for one in now] == list(range(n))
        assert [one.receiver for one in now] == [(i + 1) % n for i in range(n)]
        assert len({one.piece for one in now}) == n, "no two machines send the same piece"


@few
@given(st.integers(2, 7), st.integers(1, 30))
def test_the_messages_alone_make_the_sum(n, length):
    """Whoever plays the record gets what the function returned: nothing travels beside it."""
    arrays = filled(n, length)
    ring = ring_all_reduce(arrays)
    held = [[piece.copy() for piece in np.array_split(array, n)] for array in arrays]
    for step in range(2 * (n - 1)):
        now = [one for one in ring.messages if one.step == step]
        for one, numbers in [(one, held[one.sender][one.piece].copy()) for one in now]:
            assert one.nbytes == numbers.nbytes
            own = held[one.receiver]
            own[one.piece] = numbers + own[one.piece] if step < n - 1 else numbers
    for i in range(n):
        np.testing.assert_array_equal(np.concatenate(held[i]), ring.arrays[i])


def test_halfway_each_machine_has_another_piece_of_the_sum():
    n = 5
    done = {(one.receiver, one.piece) for one in ring_all_reduce(filled(n, 10)).messages if one.step == n - 2}
    assert done == {(i, (i + 1) % n) for i in range(n)}


def test_all_machines_end_with_the_same_bits():
    """Sums of floats depend on their order; here each piece is added up once, and then copied."""
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=(13, 7)).astype(np.float32) for _ in range(6)]
    ring = ring_all_reduce(arrays)
    for array in ring.arrays:
        assert array.dtype == np.float32 and array.shape == (13, 7)
        assert array.tobytes() == ring.arrays[0].tobytes()
        np.testing.assert_allclose(array, sum(arrays), rtol=1e-5, atol=1e-5)


def test_what_is_given_is_left_alone_and_nothing_is_shared():
    arrays = filled(3, 6)
    before = [array.copy() for array in arrays]
    ring = ring_all_reduce(arrays)
    ring.arrays[0][:] = 0
    ring_all_reduce(arrays[:1]).arrays[0][:] = 0
    assert ring.arrays[1].all()
    for array, there in zip(arrays, before, strict=True):
        np.testing.assert_array_equal(array, there)


def test_one_machine_has_nothing_to_send():
    ring = ring_all_reduce([[1.5, 2.0]])
    assert ring.messages == [] and ring.sent == [0] and ring.arrays[0].tolist() == [1.5, 2.0]


@pytest.mark.parametrize(
    ("arrays", "error", "words"),
    [
        ([], ValueError, r"arrays: expected a list with one array for each machine, got \[\]"),
        (3, ValueError, r"arrays: expected a list with one array for each machine, got 3"),
        ([[1, 2], [1]], ValueError, r"arrays\[1\]: expected int64 of shape \(2,\), as on machine 0, got .*\(1,\)"),
        ([[1, 2], [1.0, 2.0]], ValueError, r"arrays\[1\]: expected int64 .* got float64 of shape \(2,\)"),
        ([["a"], ["b"]], TypeError, r"arrays\[0\]: expected numbers, got <U1"),
    ],
)  # fmt: skip
def test_the_ring_refuses(arrays, error, words):
    with pytest.raises(error, match=words):
        ring_all_reduce(arrays)


# The pipeline


def played(stages, microbatches, schedule="gpipe", chunks=1, forward=Fraction(1), backward=Fraction(2)):
    """A timetable in exact numbers."""
    return pipeline(stages, microbatches, schedule, forward, backward, chunks)


@st.composite
def timetables(draw):
    p, v = draw(st.integers(1, 6)), draw(st.integers(1, 3))
    times = st.lists(st.integers(1, 9).map(Fraction), min_size=p, max_size=p)
    m = draw(st.integers(1, 4)) * p if v > 1 else draw(st.integers(1, 12))
    schedule = "1f1b" if v > 1 else draw(st.sampled_from(("gpipe", "1f1b")))
    return played(p, m, schedule, v, draw(times), draw(times))


@few
@given(timetables())
def test_every_microbatch_goes_through_every_part_once_each_way(table):
    seen = sorted((job.kind, job.stage, job.chunk, job.microbatch) for job in table.jobs)
    assert seen == sorted(
        (kind, stage, chunk, microbatch)
        for kind in ("forward", "backward")
        for stage in range(table.stages)
        for chunk in range(table.chunks)
        for microbatch in range(table.microbatches)
    )


@few
@given(timetables())
def test_a_stage_does_one_thing_at_a_time(table):
    for stage in range(table.stages):
        own = [job for job in table.jobs if job.stage == stage]
        for job, following in pairwise(own):
            assert job.start < job.end <= following.start


@few
@given(timetables())
def test_a_job_begins_when_its_input_is_there_and_no_later_than_it_can(table):
    places = table.stages * table.chunks
    ends = {(job.kind, job.chunk * table.stages + job.stage, job.microbatch): job.end for job in table.jobs}
    free = [0] * table.stages
    for job in table.jobs:
        place = job.chunk * table.stages + job.stage
        if job.kind == "forward":
            there = ends["forward", place - 1, job.microbatch] if place else 0
        else:
            last = place == places - 1
            there = ends["forward" if last else "backward", place + 1 - last, job.microbatch]
        assert job.start == max(there, free[job.stage])
        free[job.stage] = job.end


@few
@given(st.integers(1, 7), st.integers(1, 15), st.sampled_from(("gpipe", "1f1b")), st.integers(1, 5))
def test_the_bubble_of_even_stages_is_the_one_in_the_papers(p, m, schedule, backward):
    table = played(p, m, schedule, backward=Fraction(backward))
    assert table.idle == Fraction(p - 1, m + p - 1)
    assert table.end == (m + p - 1) * (1 + backward)


@few
@given(st.integers(1, 6), st.integers(1, 4), st.integers(2, 4))
def test_interleaved_parts_divide_the_bubble(p, rounds, chunks):
    m = rounds * p
    table = played(p, m, "1f1b", chunks)
    assert table.idle == Fraction(p - 1, chunks * m + p - 1)
    assert max(table.held) >= max(played(p, m, "1f1b").held), "and more is held meanwhile"


@few
@given(st.integers(1, 7), st.integers(1, 15))
def test_gpipe_holds_every_microbatch_and_1f1b_as_many_as_there_are_stages_behind(p, m):
    assert played(p, m, "gpipe").held == [m] * p
    assert played(p, m, "1f1b").held == [min(p - stage, m) for stage in range(p)]


def test_the_line_runs_at_the_pace_of_its_slowest_stage():
    even = played(4, 50)
    slow = pipeline(4, 50, forward=[1, 1, 2, 1], backward=[2, 2, 4, 2])
    assert slow.end - even.end == 50 * 3  # each round waits


def test_whole_times_stay_whole():
    table = pipeline(2, 2, forward=1, backward=2)
    assert isinstance(table.end, int)
    assert [(job.stage, job.kind[0], job.microbatch, job.start, job.end) for job in table.jobs] == [
        (0, "f", 0, 0, 1), (0, "f", 1, 1, 2), (1, "f", 0, 1, 2), (1, "f", 1, 2, 3), (1, "b", 0, 3, 5),
        (0, "b", 0, 5, 7), (1, "b", 1, 5, 7), (0, "b", 1, 7, 9),
    ]  # fmt: skip


def test_a_timetable_says_its_sizes():
    assert repr(pipeline(4, 8, "1f1b", chunks=2)) == "<1f1b on 4: 28.5 long, 15.8% idle, 5.5 of 8 held>"


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({"stages": 0}, ValueError, "stages: expected a whole number above zero, got 0"),
        ({"stages": 2.5}, TypeError, "stages: expected a whole number above zero, got 2.5"),
        ({"microbatches": 0}, ValueError, "microbatches: expected a whole number above zero, got 0"),
        ({"schedule": "2f2b"}, ValueError, "schedule: expected 'gpipe' or '1f1b', got '2f2b'"),
        ({"forward": 0}, ValueError, "forward: expected a time above zero, got 0"),
        ({"backward": [1, 2]}, ValueError, "backward: expected a time for each of the 3 stages, got 2"),
        ({"backward": [1, 2, "x"]}, ValueError, "backward: expected a finite number, got 'x'"),
        ({"chunks": 0, "schedule": "1f1b"}, ValueError, "chunks: expected a whole number above zero, got 0"),
        ({"chunks": 2}, ValueError, "chunks: 2 go with '1f1b' and a number of microbatches that 3 stages divide"),
        ({"chunks": 2, "schedule": "1f1b", "microbatches": 4}, ValueError, "got '1f1b' and 4"),
    ],
)
def test_the_pipeline_refuses(given, error, words):
    with pytest.raises(error, match=words):
        pipeline(**{"stages": 3, "microbatches": 3} | given)


# Their pictures


def pictures(markup):
    """Parse what a page would show; anything that is no XML would be an error there."""
    return ElementTree.fromstring(markup.replace("<svg xmlns=", "<svg xmlns:svg="))


def test_a_ring_draws_its_start_and_every_step():
    frames = pictures(ring_all_reduce(filled(4, 8))._repr_html_()).findall("svg")
    assert len(frames) == 1 + 6
    texts = [[text.text for text in frame.iter("text")] for frame in frames]
    assert [words.count("abcd") for words in texts] == [0, 0, 0, 4, 8, 12, 16]
    assert [len(list(frame.iter("path"))) for frame in frames] == [0] + [5] * 6, "four arrows, one in two parts"
    assert frames[0].get("data-caption").startswith("at first")
    assert frames[3].get("data-caption").startswith("step 3 of 6, reduce-scatter")
    assert frames[4].get("data-caption").startswith("step 4 of 6, all-gather")
    assert "machine 0 holds 1 whole, 1 holds 1 whole" in frames[3].get("aria-label")


def test_more_machines_get_numbers_and_many_get_no_picture():
    last = pictures(ring_all_reduce(filled(9, 9))._repr_html_()).findall("svg")[-1]
    assert [text.text for text in last.iter("text")].count("9") == 81
    assert ring_all_reduce(filled(13, 1))._repr_html_() is None


@pytest.mark.parametrize(("schedule", "chunks"), [("gpipe", 1), ("1f1b", 1), ("1f1b", 2)])
def test_a_timetable_draws_a_bar_for_each_job(schedule, chunks):
    table = pipeline(4, 8, schedule, chunks=chunks)
    svg = pictures(table._repr_svg_())
    bars = list(svg.iter("rect"))[:-2]  # the last two are the key
    assert len(bars) == len(table.jobs) == 2 * 4 * 8 * chunks
    boxes = [[float(bar.get(name)) for name in ("x", "y", "width", "height")] for bar in bars]
    width, height = float(svg.get("width")), float(svg.get("height"))
    assert width <= 350, "a phone shows it"
    assert all(x >= 0 and x + w <= width and y >= 0 and y + h <= height for x, y, w, h in boxes)
    for job, (x, y, w, h) in zip(table.jobs, boxes, strict=True):
        assert y == job.stage * 30 + 3 + job.chunk * h and h == 24 / chunks, "each part has a lane of its own"
        assert x == pytest.approx(18 + job.start * (width - 24) / table.end, abs=0.01)
        assert w == pytest.approx((job.end - job.start) * (width - 24) / table.end, abs=0.01)
    assert "stage 0 from 0 to" in svg.get("aria-label") and f"{table.idle:.1%} idle" in svg.get("data-caption")


def test_bars_are_told_apart_by_more_than_their_hue():
    """A forward is light with a dark edge, a backward is dark; where there is room, both bear their number."""
    bars = list(pictures(pipeline(1, 1)._repr_svg_()).iter("rect"))
    assert "14%" in bars[0].get("style") and bars[0].get("stroke") == "currentColor"
    assert "14%" not in bars[1].get("style")
    texts = [text.text for text in pictures(pipeline(2, 3)._repr_svg_()).iter("text")]
    assert texts.count("2") == 2 * 2 and texts.count("1") == 2 * 2 + 1  # two stages, two ways; and a stage's name


def test_a_message_is_a_record():
    assert ring_all_reduce([[1], [2]]).messages[0] == Message(step=0, sender=0, receiver=1, piece=0, nbytes=8)
