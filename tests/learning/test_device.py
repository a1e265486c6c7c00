import pytest
import torch

from learning.device import resolve_device, use_threads


def test_cpu_is_always_there():
    assert resolve_device("cpu") == torch.device("cpu")


def test_auto_is_cuda_exactly_where_there_is_one():
    assert resolve_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has CUDA")
def test_cuda_where_there_is_none_is_refused_in_one_line():
    with pytest.raises(ValueError, match=r"^device 'cuda' was asked for, but .*$"):
        resolve_device("cuda")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no CUDA")
def test_cuda_is_asked_to_repeat_its_bits():
    assert resolve_device("cuda").type == "cuda"
    assert torch.backends.cudnn.deterministic


def test_an_unknown_device_is_refused():
    with pytest.raises(ValueError, match="unknown device 'tpu', expected one of: auto, cpu, cuda"):
        resolve_device("tpu")


def test_threads_are_set_and_none_is_refused():
    use_threads(2)
    assert torch.get_num_threads() == 2
    use_threads(1)
    assert torch.get_num_threads() == 1
    with pytest.raises(ValueError, match="at least 1"):
        use_threads(0)
