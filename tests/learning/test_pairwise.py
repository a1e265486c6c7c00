import pytest
import torch
from scipy.spatial.distance import cdist
from torch.nn.functional import cosine_similarity

from learning import pairwise
from learning.pairwise import cosines, products, squared_distances, squared_norms

CHANCE = torch.Generator().manual_seed(2)
ROWS = torch.randn(6, 40, dtype=torch.float64, generator=CHANCE)
OTHERS = torch.randn(4, 40, dtype=torch.float64, generator=CHANCE)

cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no CUDA")


@pytest.fixture(params=[2**23, 7], ids=["at once", "in slices"])
def numbers_at_once(request, monkeypatch):
    monkeypatch.setattr(pairwise, "NUMBERS_AT_ONCE", request.param)


@pytest.mark.usefixtures("numbers_at_once")
def test_products_distances_and_norms_are_those_of_each_pair():
    assert torch.allclose(products(ROWS), ROWS @ ROWS.T)
    assert torch.allclose(products(ROWS, OTHERS), ROWS @ OTHERS.T)
    assert torch.allclose(squared_norms(ROWS), ROWS.square().sum(dim=1))
    assert torch.allclose(squared_distances(ROWS), torch.from_numpy(cdist(ROWS, ROWS, "sqeuclidean")))
    assert torch.allclose(squared_distances(ROWS, OTHERS), torch.from_numpy(cdist(ROWS, OTHERS, "sqeuclidean")))


@pytest.mark.usefixtures("numbers_at_once")
def test_cosines_are_those_of_each_pair():
    assert torch.allclose(cosines(ROWS), cosine_similarity(ROWS[:, None], ROWS[None], dim=2))


def test_matrices_of_one_set_are_symmetric_to_the_bit():
    rows = torch.randn(33, 1000, generator=CHANCE)
    for found in (products(rows), cosines(rows), squared_distances(rows)):
        assert found.dtype == torch.float64
        assert torch.equal(found, found.mT)


def test_a_row_of_zeros_is_like_nothing_but_itself():
    rows = torch.cat([ROWS[:2], torch.zeros(1, 40, dtype=torch.float64)])
    assert cosines(rows)[2].tolist() == [0.0, 0.0, 1.0]


def test_near_rows_far_from_zero_keep_their_distance_in_float32():
    centre = 100 * torch.randn(40, generator=CHANCE)
    rows = centre + 1e-3 * torch.randn(5, 40, generator=CHANCE)
    assert torch.allclose(squared_distances(rows), torch.cdist(rows.double(), rows.double()) ** 2, rtol=1e-6)


def test_equal_rows_of_two_sets_have_distance_zero():
    rows = torch.randn(3, 100_000, generator=CHANCE)
    assert squared_distances(rows, rows.clone()).diagonal().tolist() == [0.0, 0.0, 0.0]


def test_a_huge_row_spoils_no_other_pair():
    rows = ROWS.float()
    spoiled = torch.cat([rows, torch.full((1, 40), 3e38)])
    assert torch.equal(squared_distances(spoiled)[:6, :6], squared_distances(rows))
    assert torch.isfinite(cosines(spoiled)).all()


@cuda
def test_a_gpu_finds_the_same():
    assert torch.allclose(cosines(ROWS.cuda()).cpu(), cosines(ROWS))
    assert torch.allclose(squared_distances(ROWS.cuda(), OTHERS.cuda()).cpu(), squared_distances(ROWS, OTHERS))
