"""The spread of equal subnets is chance, that of unequal ones is not."""

import statistics

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neurokd.search.chance import gain_of_larger, rank_correlation, spread_test


def answers(error_rates: list[float], images: int, seed: int) -> list[list[int]]:
    generator = np.random.default_rng(seed)
    return [np.flatnonzero(generator.random(images) < rate).tolist() for rate in error_rates]


def test_equal_subnets_are_seldom_called_different() -> None:
    found = [spread_test(answers([0.1] * 12, 200, seed), 200) for seed in range(40)]
    assert sum(one.range.p < 0.05 for one in found if one) <= 6  # 2 are expected, more than 6 once in 300 such tests
    assert sum(one.deviation.p < 0.05 for one in found if one) <= 6
    typical = found[0]
    assert typical is not None
    assert typical.range.by_chance > 0.03  # twelve equal subnets still spread over points


def test_unequal_subnets_are_called_different() -> None:
    found = spread_test(answers([0.1] * 11 + [0.35], 200, 0), 200)
    assert found is not None
    for against in (found.range, found.deviation):
        assert against.p < 0.01
        assert against.measured > against.by_chance_95 > against.by_chance


def test_the_deviation_sees_what_the_range_misses() -> None:
    """Two camps that differ a little: no single subnet stands out, all together do."""
    found = spread_test(answers([0.10] * 30 + [0.12] * 30, 600, 1), 600)
    assert found is not None
    assert found.deviation.p < 0.01 < found.range.p


def test_images_that_all_or_none_miss_say_nothing() -> None:
    base = answers([0.1] * 5, 100, 3)
    shifted = [[*one, *range(100, 120)] for one in base]
    plain, more = spread_test(base, 100), spread_test(shifted, 200)
    assert plain is not None
    assert more is not None
    assert (more.range.p, more.deviation.p) == (plain.range.p, plain.deviation.p)
    assert more.range.measured * 200 == pytest.approx(plain.range.measured * 100)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.sets(st.integers(0, 19)), min_size=2, max_size=5))
def test_the_test_holds_for_any_answers(wrong: list[set[int]]) -> None:
    found = spread_test([sorted(one) for one in wrong], 20)
    assert found is not None
    assert 0 < min(found.range.p, found.deviation.p) <= max(found.range.p, found.deviation.p) <= 1
    errors = [len(one) / 20 for one in wrong]
    assert found.range.measured == pytest.approx(max(errors) - min(errors))
    assert found.deviation.measured == pytest.approx(statistics.pstdev(errors))
    if len(set(errors)) == 1:
        assert found.range.p == found.deviation.p == 1


def test_one_subnet_has_no_spread() -> None:
    assert spread_test([[1]], 10) is None


def test_rank_correlation_knows_order_alone() -> None:
    up = rank_correlation([1, 2, 3, 4], [1, 10, 100, 1000])
    down = rank_correlation([1, 2, 3, 4], [4, 3, 2, 1])
    assert up is not None
    assert down is not None
    assert (up.rho, down.rho) == (1.0, -1.0)
    assert rank_correlation([1, 1, 1], [1, 2, 3]) is None
    assert rank_correlation([1, 2], [1, 2]) is None


def test_the_larger_half_is_compared_with_the_smaller() -> None:
    assert gain_of_larger([0.5, 0.9, 0.7], [3, 1, 2]) == pytest.approx(-0.4)  # the one in the middle counts for neither
    assert gain_of_larger([0.5], [1]) is None
