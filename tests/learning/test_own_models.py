import itertools
import textwrap

import numpy as np
import pytest
import torch
from learning_samples import blobs, clean_shards

from learning.models import FlatModel
from learning.training import LocalTraining, train_cohort
from learning.trust import CodeNotAllowed

fresh = itertools.count()


@pytest.fixture(autouse=True)
def _allowed(monkeypatch):
    """The user of these tests trusts their code."""
    monkeypatch.setenv("DATAGORA_ALLOW_CODE", "1")


@pytest.fixture
def own(tmp_path, monkeypatch):
    """Writes a user's module and gives the path of its class ``Mine``."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(body: str, header: str = "") -> str:
        name = f"users_file_{next(fresh)}"
        source = f"import torch\nfrom torch import nn\n{header}\n{textwrap.dedent(body)}"
        (tmp_path / f"{name}.py").write_text(source)
        return f"{name}:Mine"

    return write


GATED = """
    class Mine(nn.Module):
        def __init__(self, shape, classes):
            super().__init__()
            self.gate, self.way = nn.Linear(shape[0], classes), nn.Linear(shape[0], classes)

        def forward(self, x):
            return self.gate(x).sigmoid() * self.way(x)
"""


def test_a_users_module_is_trained_like_any_other(own, streams):
    data = blobs()
    model = FlatModel(own(GATED), data.shape, data.classes)
    assert model.size == 2 * (5 * 3 + 3)
    assert model.linear_layers is None
    shards = clean_shards(data, 3, streams)
    plan, owners = LocalTraining(epochs=1, batch_size=10, learning_rate=0.1), np.arange(3)
    base = model.initial(streams).double()
    auto, loop = (
        train_cohort(model, base, shards, owners, shards.sizes, owners, 1, plan, streams, backend)
        for backend in ("auto", "loop")
    )
    assert torch.allclose(auto, loop, atol=1e-12, rtol=0)


def test_a_users_module_that_cannot_be_mapped_says_so_and_computes_one_after_another(own):
    body = """
        class Mine(nn.Module):
            def __init__(self, shape, classes):
                super().__init__()
                self.linear = nn.Linear(shape[0], classes)

            def forward(self, x):
                return self.linear(x) if float(x.sum()) >= 0 else -self.linear(x)
    """
    model = FlatModel(own(body), (4,), 3)
    assert not model.maps
    modules = [model.build(seed) for seed in (1, 2)]
    weights = torch.stack([torch.nn.utils.parameters_to_vector(m.parameters()).detach() for m in modules])
    x = torch.ones(2, 5, 4) * torch.tensor([1.0, -1.0]).view(2, 1, 1)
    with torch.no_grad():
        expected = torch.stack([module(part) for module, part in zip(modules, x, strict=True)])
    assert torch.allclose(model.logits(weights, x), expected)


def test_a_sequential_with_a_forward_of_its_own_is_no_plain_stack(own):
    body = """
        class Mine(nn.Sequential):
            def __init__(self, shape, classes):
                super().__init__(nn.Linear(shape[0], 4), nn.ReLU(), nn.Linear(4, classes))

            def forward(self, x):
                return -super().forward(x)
    """
    assert FlatModel(own(body), (4,), 3).linear_layers is None


def test_buffers_that_are_called_frozen_are_the_same_for_all(own):
    body = """
        class Mine(nn.Module):
            frozen = frozenset({"features"})

            def __init__(self, shape, classes):
                super().__init__()
                self.register_buffer("features", torch.randn(shape[0], 7))
                self.linear = nn.Linear(7, classes)

            def forward(self, x):
                return self.linear((x @ self.features).relu())
    """
    model = FlatModel(own(body), (4,), 3)
    assert model.size == 7 * 3 + 3
    assert torch.equal(model.build(1).features, model.build(2).features)


def linear(extra="", forward="self.linear(x)", header=""):
    return (
        f"""
        class Mine(nn.Module):
            def __init__(self, shape, classes):
                super().__init__()
                self.linear = nn.Linear(shape[0], classes)
                {extra}

            def forward(self, x):
                return {forward}
    """,
        header,
    )


REFUSED = {
    "error at import": (linear(header="1 / 0"), r"cannot be imported \(ZeroDivisionError: division by zero\)"),
    "missing import": (linear(header="import no_such_thing_at_all"), "cannot be imported .ModuleNotFoundError"),
    "no such class": (("class Yours: pass", ""), "cannot be found, the module users_file_.* has no Mine"),
    "a function": (("def Mine(shape, classes): return nn.Linear(4, 3)", ""), "no subclass of torch.nn.Module"),
    "signature": (
        ("class Mine(nn.Linear): pass\nclass Mine(Mine):\n    def __init__(self): pass", ""),
        "cannot be built",
    ),
    "running statistics": (linear("self.norm = nn.BatchNorm1d(3)", "self.norm(self.linear(x))"), "keeps buffers"),
    "dropout": (linear("self.drop = nn.Dropout(0.5)", "self.drop(self.linear(x))"), "draws random numbers"),
    "wrong output": (linear(forward="self.linear(x).sum(dim=1)"), r"gives \[2\] for two samples, expected logits"),
    "no tensor": (linear(forward="None"), "gives NoneType for two samples"),
    "fails": (linear(forward="self.linear(x.T)"), r"fails on samples of shape \(4,\) \(RuntimeError"),
    "no weights": (("class Mine(nn.Identity): pass", ""), "has no weights to train"),
    "half frozen": (linear("self.linear.bias.requires_grad_(False)"), "not trained float32 ones"),
    "double": (linear("self.double()"), "not trained float32 ones"),
    "changed constant": (
        linear(
            "self.register_buffer('count', torch.zeros(1)); self.frozen = {'count'}",
            "self.linear(x) + 0 * self.count.add_(1)",
        ),
        "changes buffers that it calls frozen",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_users_module_that_will_not_do_is_refused_in_one_line(case, own):
    (body, header), problem = REFUSED[case]
    path = own(body, header)
    with pytest.raises(ValueError, match=problem) as caught:
        FlatModel(path, (4,), 3)
    assert "\n" not in str(caught.value)
    assert path in str(caught.value)


@pytest.mark.parametrize("path", ["no_such_package_here:Mine", "os.path:join:more", ":Mine", "os:"])
def test_a_path_that_leads_nowhere_is_refused(path):
    with pytest.raises(ValueError, match=r"cannot be imported|is no path of a model"):
        FlatModel(path, (4,), 3)


def test_a_model_may_be_named_by_its_file(tmp_path):
    body = "import torch\nfrom torch import nn\n" + textwrap.dedent(GATED)
    (tmp_path / "beside.py").write_text(body)
    model = FlatModel(f"{tmp_path / 'beside.py'}:Mine", (3,), 2)
    assert model.size == 2 * (3 * 2 + 2)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"nothing\.py:Mine' cannot be imported \(FileNotFoundError"):
        FlatModel(f"{tmp_path / 'nothing.py'}:Mine", (3,), 2)


@pytest.mark.parametrize("said", [None, "", "0", "yes"])
@pytest.mark.parametrize("named", ["{1}:Mine", "{0}/{1}.py:Mine"], ids=["module", "file"])
def test_nothing_of_a_users_module_runs_unless_the_user_allows_it(named, said, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    header = f"import torch\nfrom torch import nn\nopen({str(tmp_path / 'executed')!r}, 'w').close()\n"
    name = f"traced_{next(fresh)}"  # no module is imported twice
    path = named.format(tmp_path, name)
    (tmp_path / f"{name}.py").write_text(header + textwrap.dedent(GATED))
    if said is None:
        monkeypatch.delenv("DATAGORA_ALLOW_CODE")
    else:
        monkeypatch.setenv("DATAGORA_ALLOW_CODE", said)
    with pytest.raises(CodeNotAllowed, match=r"^the model '[^\n]*' is code [^\n]* set DATAGORA_ALLOW_CODE=1 [^\n]*$"):
        FlatModel(path, (3,), 2)
    assert not (tmp_path / "executed").exists()
    monkeypatch.setenv("DATAGORA_ALLOW_CODE", "1")
    FlatModel(path, (3,), 2)
    assert (tmp_path / "executed").exists()
