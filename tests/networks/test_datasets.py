"""The points against scikit-learn's, their seeds and their noise, what is refused, and the picture."""

import math
import re
import statistics
from collections import Counter
from itertools import pairwise
from xml.etree import ElementTree

import numpy as np
import pytest
from sklearn.datasets import make_circles, make_moons

from microlearn.networks import MLP, circles, moons, scatter, spiral, xor

DATASETS = [moons, circles, xor, spiral]


def pairs(X, y):
    """Tell which points there are, whatever their order, with their labels."""
    return sorted((round(x0, 9) + 0.0, round(x1, 9) + 0.0, int(label)) for (x0, x1), label in zip(X, y, strict=True))


@pytest.mark.parametrize("n", [2, 3, 10, 101])
@pytest.mark.parametrize(("ours", "theirs"), [(moons, make_moons), (circles, make_circles)])
def test_without_noise_the_points_are_scikit_learn_s(ours, theirs, n):
    assert pairs(*ours(n, noise=0.0)) == pairs(*theirs(n, noise=None))


def test_the_inner_circle_can_be_smaller():
    assert pairs(*circles(20, noise=0.0, factor=0.3)) == pairs(*make_circles(20, noise=None, factor=0.3))


@pytest.mark.parametrize("dataset", DATASETS)
def test_they_have_one_form(dataset):
    X, y = dataset(31)
    assert len(X) == len(y) == 31
    assert all(type(x) is float for point in X for x in point)
    assert {len(point) for point in X} == {2}
    assert all(type(label) is int for label in y)
    counts = Counter(y)
    assert set(counts) == {0, 1}
    assert abs(counts[0] - counts[1]) <= 1


@pytest.mark.parametrize("dataset", DATASETS)
def test_the_same_seed_makes_the_same_points_in_the_same_order(dataset):
    assert dataset(20, seed=3) == dataset(20, seed=3)
    assert dataset(20, seed=3) != dataset(20, seed=4)
    assert dataset(20) == dataset(n=20, seed=0)
    assert dataset(20, 0.2, 3) == dataset(20, noise=0.2, seed=3)


def test_the_settings_that_stand_where_none_is_given():
    assert moons() == moons(100, 0.1, 0)
    assert circles() == circles(100, 0.03, 0, 0.8)
    assert xor() == xor(100, 0.1, 0)
    assert spiral() == spiral(100, 0.02, 0, 2)


def test_numpy_s_numbers_are_taken_and_plain_ones_come_out():
    X, y = spiral(np.int64(10), np.float32(0.1), np.int64(3), np.int64(2))
    assert {type(x) for point in X for x in point} == {float}
    assert {type(label) for label in y} == {int}
    assert scatter(np.array(X), np.array(y)).description == scatter(X, y).description


@pytest.mark.parametrize("dataset", DATASETS)
def test_noise_is_the_standard_deviation_of_what_is_added(dataset):
    """The same seed draws and shuffles alike, however much noise there is."""
    n = 2000
    still, moved = dataset(n, noise=0.0, seed=1)[0], dataset(n, noise=0.3, seed=1)[0]
    added = [b - a for p, q in zip(still, moved, strict=True) for a, b in zip(p, q, strict=True)]
    assert statistics.mean(added) == pytest.approx(0.0, abs=0.02)
    assert statistics.pstdev(added) == pytest.approx(0.3, rel=0.05)
    assert max(map(abs, added)) > 3 * 0.3  # a bell has tails


@pytest.mark.parametrize("dataset", DATASETS)
def test_any_slice_is_a_mixture(dataset):
    _, y = dataset(200)
    assert all(10 < sum(y[start : start + 50]) < 40 for start in (0, 50, 100, 150))


def test_xor_is_labelled_by_the_signs_of_its_corner():
    X, y = xor(40, noise=0.1)
    assert y == [int((x0 < 0) != (x1 < 0)) for x0, x1 in X]
    assert Counter((x0 > 0, x1 > 0) for x0, x1 in X) == dict.fromkeys([(a, b) for a in (0, 1) for b in (0, 1)], 10)


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_the_arms_of_the_spiral_are_one_arm_turned(classes):
    X, y = spiral(20 * classes, noise=0.0, classes=classes)
    arms = [
        sorted((math.hypot(*point), *point) for point, own in zip(X, y, strict=True) if own == k)
        for k in range(classes)
    ]
    for k, arm in enumerate(arms):
        assert len(arm) == 20
        turn = math.tau * k / classes
        for (radius, x0, x1), (radius0, a, b) in zip(arm, arms[0], strict=True):
            assert radius == pytest.approx(radius0)
            turned = a * math.cos(turn) - b * math.sin(turn), a * math.sin(turn) + b * math.cos(turn)
            assert (x0, x1) == pytest.approx(turned)
    assert arms[0][0][0] == pytest.approx(0.1)
    assert arms[0][-1][0] == pytest.approx(1.0)


def test_an_arm_winds_once_on_its_way_out():
    X, y = spiral(400, noise=0.0)
    arm = sorted((point for point, label in zip(X, y, strict=True) if label == 0), key=lambda point: math.hypot(*point))
    turns = [math.atan2(b, a) for a, b in arm]
    steps = [(later - earlier) % math.tau for earlier, later in pairwise(turns)]
    assert sum(steps) == pytest.approx(0.9 * math.tau)
    assert Counter(spiral(11, classes=3)[1]) == {0: 4, 1: 4, 2: 3}
    assert Counter(spiral(3, classes=3)[1]) == {0: 1, 1: 1, 2: 1}


REFUSED = [
    (lambda: moons(1), ValueError, "n: expected a whole number of 2 or more, got 1"),
    (lambda: xor(0), ValueError, "n: expected a whole number of 2 or more, got 0"),
    (lambda: spiral(10.0), TypeError, "n: expected a whole number of 2 or more, got 10.0"),
    (lambda: circles(10, noise=-0.1), ValueError, "noise: expected a standard deviation of 0 or more, got -0.1"),
    (lambda: moons(10, noise=math.nan), ValueError, "noise: expected a standard deviation of 0 or more, got nan"),
    (lambda: moons(10, noise=math.inf), ValueError, "noise: expected a standard deviation of 0 or more, got inf"),
    (lambda: moons(10, noise="much"), ValueError, "noise: expected a standard deviation of 0 or more, got 'much'"),
    (lambda: moons(10, seed=[1]), TypeError, r"seed: expected a whole number, got \[1\]"),
    (lambda: circles(10, factor=1.0), ValueError, "factor: expected a radius from 0 to less than 1, got 1.0"),
    (lambda: circles(10, factor=None), ValueError, "factor: expected a radius from 0 to less than 1, got None"),
    (lambda: spiral(10, classes=1), ValueError, "classes: expected a whole number of 2 or more, got 1"),
    (lambda: spiral(10, classes=11), ValueError, "classes: expected 2 to 10, .* got 11"),
    (lambda: moons(10, noise=10**400), ValueError, "noise: expected a standard deviation of 0 or more"),
    (lambda: scatter([[1e308, 1.0], [-1e308, 0.0]], [0, 1]), ValueError, "X: .* too far apart to be drawn"),
    (lambda: scatter(*xor(8), "model"), TypeError, "model: expected .* got 'model'"),
    (lambda: scatter(*xor(8), lambda x: None), TypeError, "model: expected it to answer with a number, .* got None"),
    (lambda: scatter([], []), ValueError, "X: expected at least one point, got none"),
    (lambda: scatter([[1.0, 2.0]], [0, 1]), ValueError, "y: expected one entry for each of the 1 points in X, got 2"),
    (lambda: scatter([[1.0, 2.0, 3.0]], [0]), ValueError, r"X\[0\]: expected two numbers, a place in a plane, got 3"),
    (lambda: scatter([[1.0, math.inf]], [0]), ValueError, r"X\[0\]\[1\]: expected a finite number, got inf"),
    (lambda: scatter([[1.0, 2.0]], [-1]), ValueError, r"y\[0\]: expected a label, a whole number from 0 on, got -1"),
    (lambda: scatter([[1.0, 2.0]], ["a"]), ValueError, r"y\[0\]: expected a label, a whole number from 0 on, got 'a'"),
]


@pytest.mark.parametrize(("call", "error", "words"), REFUSED)
def test_a_refusal_names_the_argument_and_what_it_accepts(call, error, words):
    with pytest.raises(error, match=words):
        call()


# The picture


class Drawn:
    """A picture's SVG, read back."""

    def __init__(self, picture):
        self.svg = ElementTree.fromstring(picture._repr_svg_())
        self.width, self.height = (float(self.svg.get(side)) for side in ("width", "height"))
        outline = self.paths("border")[0].get("d")
        left, top, across, up = map(float, re.fullmatch(r"M(\S+) (\S+)h(\S+)v(\S+)h-\S+z", outline).groups())
        self.window = left, top, left + across, top + up

    def paths(self, kind):
        return [path for path in self.svg.iter() if path.get("class") == kind]

    def places(self, label):
        (path,) = (path for path in self.paths("points") if path.get("data-label") == str(label))
        return [tuple(map(float, place)) for place in re.findall(r"M(\S+) (\S+?)m", path.get("d"))]

    def boundary(self):
        """List the ends of the lines between regions."""
        return [
            tuple(map(float, place.split()))
            for path in self.paths("boundary")
            for line in path.get("d").split("M")[1:]
            for place in line.split("L")
        ]

    def area(self, label):
        """Measure a region in square pixels, by the corners of its pieces."""
        total = 0.0
        for path in self.paths("region"):
            if path.get("data-label") == str(label):
                for piece in re.findall(r"M([^z]+)z", path.get("d")):
                    corners = [tuple(map(float, corner.split())) for corner in piece.split("L")]
                    turned = zip(corners, corners[1:] + corners[:1], strict=True)
                    total += abs(sum(x * v - u * y for (x, y), (u, v) in turned)) / 2
        return total


def test_every_point_stands_at_its_place_in_the_mark_of_its_label():
    X, y = [[0.0, 0.0], [2.0, 1.0], [1.0, 0.5], [0.0, 1.0]], [0, 1, 1, 2]
    drawn = Drawn(scatter(X, y))
    (origin,), (far, middle), (above,) = (drawn.places(label) for label in (0, 1, 2))
    assert middle == pytest.approx([(a + b) / 2 for a, b in zip(origin, far, strict=True)], abs=0.1)
    assert far[0] > origin[0]
    assert far[1] < origin[1]  # up is up
    assert above == pytest.approx((origin[0], far[1]))
    assert far[0] - origin[0] == pytest.approx(2 * (origin[1] - far[1]), abs=1)  # a unit is a unit both ways
    marks = {path.get("d").partition("m")[2].partition("M")[0] for path in drawn.paths("points")}
    assert len(marks) == 3


@pytest.mark.parametrize("X", [moons()[0], [[5.0, 5.0]], [[0.0, 0.0], [1.0, 1e6]], [[-1e9, 0.0], [1e9, 1e-9]]], ids=len)
def test_all_points_lie_inside_of_the_frame_and_all_of_it_in_the_picture(X):
    drawn = Drawn(scatter(X, [0] * len(X)))
    left, top, right, bottom = drawn.window
    assert all(left <= x <= right and top <= y <= bottom for x, y in drawn.places(0))
    assert 0 < left < right < drawn.width
    assert 0 < top < bottom < drawn.height
    for text in drawn.svg.iter():
        if text.tag.endswith("text"):
            assert 0 <= float(text.get("x")) <= drawn.width
            assert 0 <= float(text.get("y")) <= drawn.height


def test_the_boundary_is_where_the_score_is_zero():
    X, y = circles(40)
    drawn = Drawn(scatter(X, y, lambda x: 0.25 - x[0] ** 2 - x[1] ** 2))
    known = dict(zip(map(tuple, X), [None] * 40, strict=True))
    assert len(known) == 40
    left, _, right, _ = drawn.window
    places = drawn.places(0) + drawn.places(1)
    points = [point for label in (0, 1) for point, own in zip(X, y, strict=True) if own == label]
    (x, u), (a, b) = [(places[i][0], points[i][0]) for i in (0, 1)]
    scale = (x - a) / (u - b)
    centre = x - u * scale
    middle = places[0][1] + points[0][1] * scale
    radii = [math.hypot(x - centre, y - middle) / scale for x, y in drawn.boundary()]
    assert len(radii) > 50
    assert radii == pytest.approx([0.5] * len(radii), rel=0.02)
    assert drawn.area(1) / scale**2 == pytest.approx(math.pi * 0.25, rel=0.02)
    assert right - left == pytest.approx(350)


def test_three_regions_share_the_plane():
    X, y = [[-1.0, -1.0], [1.0, 1.0], [1.0, -1.0]], [0, 1, 2]
    drawn = Drawn(scatter(X, y, lambda x: [0.0, x[0] + x[1], x[0] - x[1]]))
    left, top, right, bottom = drawn.window
    plane = (right - left) * (bottom - top)
    assert drawn.area(1) / plane == pytest.approx(0.375, rel=0.02)
    assert drawn.area(2) / plane == pytest.approx(0.375, rel=0.02)


def test_a_model_without_a_doubt_has_no_boundary():
    drawn = Drawn(scatter(*xor(8), lambda x: 1.0))
    left, top, right, bottom = drawn.window
    assert drawn.boundary() == []
    assert drawn.area(1) == pytest.approx((right - left) * (bottom - top), rel=0.01)
    assert Drawn(scatter(*xor(8), lambda x: -1.0)).area(1) == 0.0
    assert Drawn(scatter(*xor(8))).paths("region") == []


def test_the_boundary_of_a_score_can_be_moved():
    assert Drawn(scatter(*xor(8), lambda x: 0.6, boundary=0.5)).area(1) > 0.0
    assert Drawn(scatter(*xor(8), lambda x: 0.4, boundary=0.5)).area(1) == 0.0


def test_the_boundary_is_made_of_short_lines():
    drawn = Drawn(scatter(*circles(40), lambda x: 0.25 - x[0] ** 2 - x[1] ** 2))
    ends = drawn.boundary()
    assert max(math.dist(a, b) for a, b in zip(ends[::2], ends[1::2], strict=True)) < 20


@pytest.mark.parametrize("X", [[[0.0, 0.0], [10.0, 1.0]], [[0.0, 0.0], [1.0, 10.0]]], ids=["wide", "tall"])
def test_a_picture_is_never_a_stripe(X):
    left, top, right, bottom = Drawn(scatter(X, [0, 1])).window
    assert 0.3 < (bottom - top) / (right - left) < 1.25


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (-1.0, 2.0, ["-1", "0", "1", "2"]),
        (0.0, 1.0, ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
        (0.011, 0.019, ["0.012", "0.014", "0.016", "0.018"]),
        (1234560.0, 1234570.0, ["1234560", "1234562", "1234564", "1234566", "1234568", "1234570"]),
        (-3e9, 3e9, ["-2000000000", "0", "2000000000"]),
    ],
)
def test_the_ticks_are_few_round_and_told_apart(low, high, words):
    svg = Drawn(scatter([[low, 0.0], [high, 0.0]], [0, 1])).svg
    told = [t.text for t in svg.iter() if t.tag.endswith("text") and t.get("text-anchor") == "middle"]
    assert 2 <= len(told) <= 7
    assert len(set(told)) == len(told)
    numbers = [float(text) for text in told]
    gaps = [b - a for a, b in pairwise(numbers)]
    assert gaps == pytest.approx([gaps[0]] * len(gaps))
    assert {f"{gap:.0e}"[0] for gap in gaps} <= {"1", "2", "5"}
    assert numbers[0] - gaps[0] < low <= numbers[0] + gaps[0]
    assert told == words


def test_the_axes_have_names_and_every_label_its_own_ink():
    X = [[float(i), 0.0] for i in range(5)]
    drawn = Drawn(scatter(X, [4, 2, 0, 1, 3]))
    assert [t.text for t in drawn.svg.iter() if t.tag.endswith("text")][-2:] == ["x[0]", "x[1]"]
    assert [path.get("data-label") for path in drawn.paths("points")] == ["0", "1", "2", "3", "4"]
    assert len({path.get("style") for path in drawn.paths("points")}) >= 4


def test_a_model_s_region_has_the_ink_of_its_label():
    drawn = Drawn(scatter([[0.0, 0.0], [1.0, 0.0], [2.0, 0.0]], [0, 1, 2], lambda x: [1.0, x[0], 2 * x[0] - 1.5]))
    regions = {path.get("data-label"): path.get("style") for path in drawn.paths("region")}
    assert list(regions) == ["0", "1", "2"]
    for path in drawn.paths("points"):
        hue = re.search(r"var\(--c\d", path.get("style"))[0]
        assert hue in regions[path.get("data-label")]


def test_answers_without_bounds_leave_a_picture_whole():
    for far in (lambda x: math.inf if x[0] > 0 else -1.0, lambda x: [1e308, -1e308][x[0] > 0], lambda x: -math.inf):
        assert "nan" not in scatter(*xor(8), far)._repr_svg_()


def test_a_picture_keeps_what_the_model_said():
    model = MLP(2, [3, 1], seed=2)
    picture = scatter(*xor(8), model)
    before = picture._repr_svg_()
    for parameter in model.parameters():
        parameter.data = 0.0
    assert picture._repr_svg_() == before


def test_a_model_that_answers_nan_is_drawn_without_regions():
    drawn = Drawn(scatter(*xor(8), lambda x: math.nan))
    assert drawn.boundary() == []
    assert drawn.area(1) == 0.0


def test_its_words_say_what_there_is_to_see():
    X, y = xor(20)
    assert repr(scatter(X, y)) == "<Picture of 20 points: 10 of label 0, 10 of label 1.>"
    picture = scatter(X, y, lambda x: x[0])
    assert "The model is right about 10 of them." in picture.description
    assert "about 6 of" in scatter(xor(8)[0], [0] * 6 + [1] * 2, lambda x: -1.0).description
    assert "about 1 of" in scatter([[0.0, 0.0]], [0], lambda x: 0.4, boundary=0.5).description
    assert repr(scatter([[0.0, 0.0]], [0])) == "<Picture of 1 point: 1 of label 0.>"
    svg = picture._repr_svg_()
    assert f'<desc id="points-desc">{picture.description}</desc>' in svg
    assert "<title" in svg
