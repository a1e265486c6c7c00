import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from learning.streams import Streams, philox4x32

ONES = 0xFFFFFFFF

# Known answers of the Random123 library (Salmon et al. 2011), philox4x32 with 10 rounds.
KNOWN_ANSWERS = [
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((ONES, ONES, ONES, ONES), (ONES, ONES), (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]


@pytest.mark.parametrize(("counter", "key", "answer"), KNOWN_ANSWERS)
def test_philox_gives_the_published_known_answers(counter, key, answer):
    assert tuple(philox4x32(counter, key).tolist()) == answer


@settings(deadline=None)
@given(
    seed=st.integers(0, 2**40),
    owners=st.lists(st.integers(0, 2**63 - 1), min_size=1, max_size=8, unique=True),
    counter=st.integers(0, 2**32 - 1),
)
def test_an_owner_draws_the_same_alone_as_in_any_column(seed, owners, counter):
    streams = Streams(seed)
    column = streams.uniform("bid", owners, counter)
    reverse = streams.uniform("bid", owners[::-1], counter)
    alone = [streams.uniform("bid", owner, counter) for owner in owners]
    assert column.tolist() == alone == reverse[::-1].tolist()


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))
def test_uniform_numbers_are_strictly_inside_the_unit_interval(counter, item):
    assert 0.0 < Streams(0).uniform("u", 5, counter, item) < 1.0


def test_every_argument_changes_the_draw():
    streams = Streams(1)
    here = streams.uniform("audit", 2, 3, 4)
    elsewhere = [
        Streams(2).uniform("audit", 2, 3, 4),
        streams.uniform("audits", 2, 3, 4),
        streams.uniform("audit", 2 + 2**32, 3, 4),
        streams.uniform("audit", 3, 2, 4),
        streams.uniform("audit", 2, 4, 3),
    ]
    assert len({float(here), *map(float, elsewhere)}) == 6


def test_draws_have_the_distributions_they_are_named_after():
    streams, owners = Streams(11), np.arange(20_000)
    assert stats.kstest(streams.uniform("u", owners), "uniform").pvalue > 0.001
    assert stats.kstest(streams.normal("n", owners), "norm").pvalue > 0.001
    assert stats.kstest(streams.exponential("e", owners), "expon").pvalue > 0.001
    assert stats.chisquare(np.bincount(streams.integers("i", owners, 6), minlength=6)).pvalue > 0.001


def test_neighbouring_owners_and_rounds_are_uncorrelated():
    draws = Streams(5).uniform("u", np.arange(2000)[:, None], np.arange(10))
    correlation = np.corrcoef(draws.T) - np.eye(10)
    assert np.abs(correlation).max() < 0.1
    assert abs(np.corrcoef(draws[:-1, 0], draws[1:, 0])[0, 1]) < 0.1


def test_integers_stay_below_a_bound_of_their_own():
    high = np.array([1, 2, 1000])
    drawn = Streams(5).integers("i", np.arange(3), high, np.arange(500)[:, None])
    assert (drawn >= 0).all()
    assert (drawn < high).all()
    assert drawn[:, 0].max() == 0
    assert set(drawn[:, 1]) == {0, 1}


def test_a_generator_belongs_to_its_purpose_owner_and_counter():
    streams = Streams(3)
    first = streams.generator("noise", 4, 5).standard_normal(100)
    assert np.array_equal(first, Streams(3).generator("noise", 4, 5).standard_normal(100))
    for other in (("noise", 5, 5), ("noise", 4, 6), ("noises", 4, 5)):
        assert not np.intersect1d(first, streams.generator(*other).standard_normal(100)).size


def test_another_process_draws_the_same():
    code = "from learning.streams import Streams; print(float(Streams(9).uniform('arrival', 8, 7)).hex())"
    drawn = {
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
        for _ in range(2)
    }
    assert drawn == {float(Streams(9).uniform("arrival", 8, 7)).hex()}


@pytest.mark.parametrize("module", ["streams", "registry", "uploads", "partition", "data", "corruption"])
def test_light_modules_do_not_import_torch(module):
    code = f"import sys, learning.{module}; sys.exit('torch' in sys.modules or 'sklearn' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
