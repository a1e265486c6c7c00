import numpy as np
import torch

from learning.owner_rows import OwnerRows

ROWS = torch.arange(12, dtype=torch.float32).reshape(4, 3)


def filled() -> OwnerRows:
    """Owners 7, 3, 9, 1 with the rows of ``ROWS`` in this order."""
    rows = OwnerRows(3, torch.float32, torch.device("cpu"))
    rows.remember(np.array([7, 3]), ROWS[:2])
    rows.remember(np.array([9, 1]), ROWS[2:])
    return rows


def test_the_last_row_of_an_owner_replaces_those_before():
    rows = filled()
    rows.remember(np.array([3]), torch.full((1, 3), -1.0))
    found, known = rows.recall(np.array([3, 5, 7]))
    assert known.tolist() == [True, False, True]
    assert torch.equal(found, torch.stack([torch.full((3,), -1.0), ROWS[0]]))
    assert len(rows) == 4


def test_only_those_that_are_retained_are_remembered_and_take_memory():
    rows = filled()
    rows.retain(np.array([1, 7, 100]))
    found, known = rows.recall(np.array([7, 3, 9, 1]))
    assert known.tolist() == [True, False, False, True]
    assert torch.equal(found, ROWS[[0, 3]])
    assert rows.state()[1].shape == (2, 3)
    rows.remember(np.array([3]), ROWS[1:2])
    assert torch.equal(rows.recall(np.array([7, 1, 3]))[0], ROWS[[0, 3, 1]])


def test_the_mean_is_of_the_rows_that_are_there():
    rows = OwnerRows(3, torch.float32, torch.device("cpu"))
    assert rows.mean().tolist() == [0.0, 0.0, 0.0]
    rows = filled()
    rows.remember(np.array([20]), ROWS[:1])  # leaves room behind the rows
    assert torch.equal(rows.mean(), torch.cat([ROWS, ROWS[:1]]).mean(dim=0))
