import os
import platform
import subprocess
import sys

import pytest
import torch

from learning.device import keep_freed_memory, resolve_device, use_threads

PAGES_TAKEN = """
import resource
import numpy as np
from learning.device import keep_freed_memory

def taken():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(5):
        blocks = [np.ones(2**21) for _ in range(4)]  # 64 MiB, given back together
        del blocks
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

taken()
before = taken()
assert keep_freed_memory()
taken()
print(before, taken())
"""


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


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_freed_memory_is_kept_for_the_next_tensors():
    """In a process of its own, counted by the pages that the kernel must hand out."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    plain.pop("GLIBC_TUNABLES", None)
    told = subprocess.run([sys.executable, "-c", PAGES_TAKEN], capture_output=True, text=True, check=True, env=plain)
    before, after = map(int, told.stdout.split())
    assert after < before / 10


def test_an_allocator_that_the_user_has_set_is_left_alone(monkeypatch):
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "1000")
    assert not keep_freed_memory.__wrapped__()
