import pytest
import torch

from learning.data import Dataset, load_dataset
from learning.streams import Streams


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture
def streams() -> Streams:
    return Streams(7)


@pytest.fixture(scope="session")
def digits() -> Dataset:
    return load_dataset("digits")
