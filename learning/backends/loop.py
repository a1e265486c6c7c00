"""One owner after another with an ordinary module, autograd and PyTorch's optimizer: the oracle of the others."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from learning.backends import conv
from learning.batches import BatchTable, LocalTraining
from learning.data.answers import Answers
from learning.local_terms import PLAIN, LocalTerms
from learning.models import FlatModel
from learning.objective import sample_losses


def train_loop(
    model: FlatModel,
    start: Tensor,
    x: Tensor,
    y: Tensor,
    batches: BatchTable,
    plan: LocalTraining,
    terms: LocalTerms,
    trained: Tensor,
) -> None:
    """Train each owner by itself; also the fastest exact way for wide convolutions on a CPU.

    An error of the module or of PyTorch says in a note which owner and step it met.
    """
    module = model.build().to(device=start.device, dtype=start.dtype)
    _one_by_one(module, start, x, y, batches, plan, terms, trained, nullcontext(), model.answers)


def train_loop_bf16(
    model: FlatModel,
    start: Tensor,
    x: Tensor,
    y: Tensor,
    batches: BatchTable,
    plan: LocalTraining,
    terms: LocalTerms,
    trained: Tensor,
) -> None:
    """One owner after another with channels-last images and bfloat16 products; float32 weights.

    It changes the numbers (8 bits of mantissa in each product's factors), so it runs only where it is asked for. Fast
    for wide convolutions. A stack of convolutions goes through ``learning.backends.conv``, one owner at a time, whose
    linear layers keep to float32: they are bound by memory. Float64 weights are trained in float64.
    """
    products = torch.autocast(start.device.type, dtype=torch.bfloat16, enabled=start.dtype == torch.float32)
    if conv.fits(model):
        for owner in range(len(start)):
            one = slice(owner, owner + 1)
            own_terms = terms if terms is PLAIN else terms.take(np.array([owner]))
            own_batches = batches.part(owner, owner + 1)
            conv.train_stack(model, start[one], x, y, own_batches, plan, own_terms, trained[one], products)
        return
    module = model.build().to(device=start.device, dtype=start.dtype)
    module = module.to(memory_format=torch.channels_last)
    _one_by_one(module, start, x, y, batches, plan, terms, trained, products, model.answers)


def _one_by_one(
    module: nn.Module,
    start: Tensor,
    x: Tensor,
    y: Tensor,
    batches: BatchTable,
    plan: LocalTraining,
    terms: LocalTerms,
    trained: Tensor,
    products: AbstractContextManager[object],
    answers: Answers | None,
) -> None:
    """The loop itself; ``products`` is entered around each forward pass."""
    optimizer = torch.optim.SGD(
        module.parameters(), lr=plan.learning_rate, momentum=terms.momentum, weight_decay=terms.weight_decay
    )
    for owner in range(len(start)):
        anchor = start[owner]
        _load(anchor, module)
        optimizer.state.clear()
        if terms.rate is not None:
            optimizer.param_groups[0]["lr"] = float(terms.rate[owner])
        for step, (span, active) in enumerate(zip(batches.spans, batches.active, strict=True)):
            if owner >= active:
                break
            batch = span.start + owner
            rows = torch.from_numpy(batches.index[batch, : batches.counts[batch]]).to(x.device)
            try:
                samples = x[rows].to(start.dtype)
                with products:
                    logits = module(samples).to(start.dtype)
                if answers is None:
                    loss = cross_entropy(logits, y[rows])
                else:
                    loss = sample_losses(answers, logits, samples, y[rows]).mean()
                loss = _with_terms(loss, module, owner, anchor, plan, terms)
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
            except Exception as problem:
                problem.add_note(f"while training owner {batches.owners[owner]}, step {step + 1}, {len(rows)} samples")
                raise
        _store(module, trained[owner])


def _with_terms(
    loss: Tensor, module: nn.Module, owner: int, anchor: Tensor, plan: LocalTraining, terms: LocalTerms
) -> Tensor:
    """The loss with the terms whose gradients ``learning.local_terms`` lists, written as a loss."""
    if plan.proximal > 0:
        loss = loss + plan.proximal / 2 * (_flat(module) - anchor).square().sum()
    if terms.centre is not None and terms.pull is not None:
        centre = terms.centre if terms.centre.ndim == 1 else terms.centre[owner]
        loss = loss + float(terms.pull[owner]) / 2 * (_flat(module) - centre.to(anchor)).square().sum()
    if terms.drift is not None:
        drift = terms.drift if terms.drift.ndim == 1 else terms.drift[owner]
        loss = loss + _flat(module) @ drift.to(anchor)
    return loss


def _flat(module: nn.Module) -> Tensor:
    """All parameters in one vector [P], each in its own logical order whatever its memory format."""
    return torch.cat([parameter.reshape(-1) for parameter in module.parameters()])


def _store(module: nn.Module, weights: Tensor) -> None:
    """Copy the parameters into a vector [P]."""
    begin = 0
    with torch.no_grad():
        for parameter in module.parameters():
            weights[begin : begin + parameter.numel()].view(parameter.shape).copy_(parameter)
            begin += parameter.numel()


def _load(weights: Tensor, module: nn.Module) -> None:
    """Copy a vector [P] into the parameters, which keep their memory format."""
    begin = 0
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(weights[begin : begin + parameter.numel()].view(parameter.shape))
            begin += parameter.numel()
