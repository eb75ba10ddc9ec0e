"""Stat: exact while small, within 1 % when large, the same however merged."""

import random

import pytest

from logagg.rollup.sketch import EXACT_MAX, VALUE_MAX, Stat, bin_of, bin_value


def test_few_values_are_exact() -> None:
    """Up to 1,000 values every number is exact and quantiles are values by nearest rank."""
    stat = Stat.of([15, 20, 35, 40, 50])
    assert (stat.count, stat.sum, stat.min, stat.max, stat.mean) == (5, 160, 15, 50, 32.0)
    assert [stat.quantile(q) for q in (0.05, 0.3, 0.4, 0.5, 1)] == [15, 20, 20, 35, 50]
    assert Stat.of([1, 2]).quantile(0.5) == 1


def test_a_rank_is_computed_from_the_decimal_that_was_written() -> None:
    """0.07 of 100 values is the 7th, though 0.07 * 100 is above 7 in binary."""
    stat = Stat.of(range(1, 101))
    assert [stat.quantile(q) for q in (0.07, 0.29, 0.57, 0.95)] == [7, 29, 57, 95]


def test_an_empty_stat_has_no_values() -> None:
    """Nothing seen: count 0 and None for the rest."""
    stat = Stat()
    assert (stat.count, stat.sum, stat.min, stat.mean, stat.quantile(0.5)) == (0, 0, None, None, None)


def test_a_counter_carries_no_values() -> None:
    """A counter has a count and an equal sum, is a bare number in bytes, and has no quantile."""
    stat = Stat(3).merge(Stat(4))
    assert (stat.count, stat.sum, stat.to_bytes(), stat.quantile(0.5), stat.mean) == (7, 7, b"7", None, None)
    assert Stat.from_bytes(b"7") == stat


def test_the_form_is_decided_by_the_merged_count() -> None:
    """1,000 values stay exact; the 1,001st, of any value, turns all of them into bins."""
    exact = Stat.of([1000] * 600).merge(Stat.of([2000] * 400))
    assert exact.exact and exact.quantile(0.6) == 1000
    binned = exact.merge(Stat.of([3000]))
    assert not binned.exact and not binned.values
    assert (binned.sum, binned.max, binned.quantile(1)) == (600 * 1000 + 400 * 2000 + 3000, 3000, 3000)


@pytest.mark.parametrize("value", [0, 1, 50, 51, 52, 999, 10**6, 10**12 + 7, VALUE_MAX - 1, VALUE_MAX])
def test_a_bin_stands_within_one_percent_of_its_values(value: int) -> None:
    """A bin's value is within 1 % of every value in it, on both sides of zero; small bins are exact."""
    for signed in (value, -value):
        shown = bin_value(bin_of(signed))
        assert abs(shown - signed) <= 0.01 * abs(signed)
        assert value > 50 or shown == signed


def test_bins_follow_the_order_of_values() -> None:
    """A larger value never has a lower bin."""
    values = sorted({random.Random(5).randrange(-10**e, 10**e + 1) for e in range(19) for _ in range(50)})
    bins = [bin_of(value) for value in values]
    assert bins == sorted(bins)


def test_size_is_bounded() -> None:
    """A Stat of values over the whole range takes less than 64 KiB."""
    rng = random.Random(3)
    values = [rng.choice((-1, 1)) * int(10 ** rng.uniform(0, 18)) for _ in range(200_000)]
    assert len(Stat.of(values).to_bytes()) < 64 << 10


def test_merging_leaves_its_inputs_alone() -> None:
    """`merge` makes a new Stat."""
    one, two = Stat.of([1, 2]), Stat.of([2, 3])
    before = one.to_bytes(), two.to_bytes()
    one.merge(two).add(Stat.of(range(EXACT_MAX)))
    assert (one.to_bytes(), two.to_bytes()) == before


def test_a_metric_that_changed_its_kind_still_merges() -> None:
    """A counter merged with a distribution keeps the exact count and the values that there are."""
    both = Stat(2).merge(Stat.of([10, 30]))
    assert (both.count, both.min, both.max, both.quantile(1)) == (4, 10, 30, 30)
    assert Stat.from_bytes(both.to_bytes()) == both == Stat.of([10, 30]).merge(Stat(2))
