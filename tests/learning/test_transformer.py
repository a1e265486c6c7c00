import pytest
import torch
from torch import nn

from learning.models import FlatModel
from learning.models.transformer import ALPHA, RANK, SelfAttention, Transformer
from learning.streams import Streams

LENGTH, CLASSES = 6, 5


def ids(*counts):
    return torch.randint(0, 128, (*counts, LENGTH), generator=torch.Generator().manual_seed(1)).double()


def test_attention_equals_pytorchs_own():
    ours = SelfAttention(width=12, heads=3).double()
    theirs = nn.MultiheadAttention(12, 3, batch_first=True).double()
    with torch.no_grad():
        parts = ours.query, ours.key, ours.value
        theirs.in_proj_weight.copy_(torch.cat([part.weight for part in parts]))
        theirs.in_proj_bias.copy_(torch.cat([part.bias for part in parts]))
        theirs.out_proj.load_state_dict(ours.output.state_dict())
    x = torch.randn(4, 7, 12, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(ours(x), theirs(x, x, x)[0], atol=1e-12, rtol=0)


def test_positions_matter():
    model = FlatModel("transformer", (LENGTH,), CLASSES)
    weights = model.initial(Streams(0)).double().unsqueeze(0)
    x = ids(1)
    swapped = x[:, [1, 0, 2, 3, 4, 5]]
    assert not torch.allclose(model.logits(weights, x), model.logits(weights, swapped))


def merged(module) -> Transformer:
    """The plain transformer that an adapted one amounts to."""
    plain = Transformer(LENGTH, CLASSES).double()
    state = {name.replace(".base.", "."): value for name, value in module.state_dict().items()}
    for layer in range(2):
        for part in ("query", "value"):
            place = f"layers.{layer}.attention.{part}"
            down, up = state.pop(f"{place}.down"), state.pop(f"{place}.up")
            state[f"{place}.weight"] = state[f"{place}.weight"] + ALPHA / RANK * up @ down
    plain.load_state_dict(state)
    return plain


def test_an_adapted_transformer_is_a_plain_one_with_corrected_queries_and_values():
    module = FlatModel("transformer_lora", (LENGTH,), CLASSES).build(3).double()
    at_first = module(ids(8))
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(2)))
    assert not torch.allclose(module(ids(8)), at_first, atol=1e-2)
    assert torch.allclose(module(ids(8)), merged(module)(ids(8)), atol=1e-12, rtol=0)


def test_adapters_correct_nothing_at_first():
    module = FlatModel("transformer_lora", (LENGTH,), CLASSES).build(3).double()
    for layer in module.layers:
        assert not layer.attention.query.up.any()
        assert layer.attention.query.down.any()


def test_the_base_is_frozen_at_the_weights_of_its_seed_whatever_the_seed_of_the_rest():
    first, again, other = (FlatModel("transformer_lora", (LENGTH,), CLASSES, frozen_seed=seed) for seed in (1, 1, 2))
    bases = [dict(model.build(build).named_buffers()) for model, build in ((first, 0), (again, 9), (other, 0))]
    assert bases[0].keys() == bases[1].keys()
    assert all(torch.equal(value, bases[1][name]) for name, value in bases[0].items())
    assert not torch.equal(bases[0]["position"], bases[2]["position"])
    weights = first.initial(Streams(0)).unsqueeze(0)
    x = ids(3).float()
    assert torch.equal(first.logits(weights, x), again.logits(weights, x))
    assert not torch.allclose(first.logits(weights, x), other.logits(weights, x))


def test_the_flat_vector_holds_adapters_and_output_only():
    model = FlatModel("transformer_lora", (LENGTH,), CLASSES)
    names = list(model.unflatten(torch.zeros(model.size)))
    assert all(name.endswith((".down", ".up")) or name.startswith("output.") for name in names)
    assert model.size < FlatModel("transformer", (LENGTH,), CLASSES).size / 25


def test_a_change_of_type_does_not_wear_out_the_frozen_base():
    model = FlatModel("transformer_lora", (LENGTH,), CLASSES)
    weights = model.initial(Streams(0)).unsqueeze(0)
    before = model.logits(weights, ids(3).float())
    model.logits(weights.bfloat16(), ids(3).bfloat16())
    assert torch.equal(model.logits(weights, ids(3).float()), before)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("name", ["char_lstm", "transformer", "transformer_lora"])
def test_text_models_compute_the_same_on_a_gpu(name):
    model = FlatModel(name, (LENGTH,), CLASSES)
    weights = model.initial(Streams(0)).double().expand(2, -1)
    there = model.logits(weights.cuda(), ids(3).cuda()).cpu()
    assert torch.allclose(there, model.logits(weights, ids(3)), atol=1e-10, rtol=0)
