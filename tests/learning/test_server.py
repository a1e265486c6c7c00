import dataclasses

import pytest
import torch

from learning.server import SERVER_OPTIMIZERS, FedAdagrad, FedAdam, FedAvg, FedAvgM, FedYogi, Server

CHANCE = torch.Generator().manual_seed(1)
START = torch.randn(6, dtype=torch.float64, generator=CHANCE)
TARGETS = torch.randn(8, 6, dtype=torch.float64, generator=CHANCE)

cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no CUDA")


def path(optimizer, start=START, targets=TARGETS):
    """The models after each round; the aggregates pull the model half of the way to changing targets."""
    server, weights, seen = Server(optimizer, start), start, []
    for target in targets:
        weights = server.step(weights, (weights + target) / 2)
        seen.append(weights)
    return torch.stack(seen)


def by_hand(second_moment, *, rate, momentum, adaptivity):
    """Algorithm 2 of Reddi et al. 2021, one plain number at a time."""
    weights = START.tolist()
    first, second = [0.0] * 6, [adaptivity**2] * 6
    seen = []
    for target in TARGETS.tolist():
        for i in range(6):
            change = (weights[i] + target[i]) / 2 - weights[i]
            first[i] = momentum * first[i] + (1 - momentum) * change
            second[i] = second_moment(second[i], change**2)
            weights[i] += rate * first[i] / (second[i] ** 0.5 + adaptivity)
        seen.append(list(weights))
    return torch.tensor(seen, dtype=torch.float64)


def test_plain_fedavg_returns_the_aggregate_bit_for_bit():
    aggregate = torch.tensor([-0.0, 0.1, 1e30])
    assert FedAvg().step(torch.ones(3), aggregate, {}) is aggregate


def test_fedavg_with_a_rate_goes_that_part_of_the_way():
    found = FedAvg(learning_rate=0.3).step(START, TARGETS[0], {})
    assert torch.allclose(found, 0.7 * START + 0.3 * TARGETS[0])


def test_fedavgm_is_sgd_with_momentum_on_the_change():
    weights = torch.nn.Parameter(START.clone())
    optimizer = torch.optim.SGD([weights], lr=0.8, momentum=0.9)
    expected = []
    for target in TARGETS:
        weights.grad = weights.detach() - (weights.detach() + target) / 2
        optimizer.step()
        expected.append(weights.detach().clone())
    assert torch.allclose(path(FedAvgM(learning_rate=0.8, momentum=0.9)), torch.stack(expected))


def test_fedavgm_without_momentum_is_fedavg():
    assert torch.allclose(path(FedAvgM(momentum=0.0)), path(FedAvg()))


def test_fedadagrad_follows_the_algorithm():
    expected = by_hand(lambda v, square: v + square, rate=0.2, momentum=0.3, adaptivity=0.01)
    assert torch.allclose(path(FedAdagrad(learning_rate=0.2, momentum=0.3, adaptivity=0.01)), expected)


def test_fedadam_follows_the_algorithm():
    expected = by_hand(lambda v, square: 0.95 * v + 0.05 * square, rate=0.2, momentum=0.8, adaptivity=0.01)
    found = path(FedAdam(learning_rate=0.2, momentum=0.8, adaptivity=0.01, second_momentum=0.95))
    assert torch.allclose(found, expected)


def test_fedyogi_follows_the_algorithm():
    def yogi(v, square):
        return v - 0.05 * square * ((v > square) - (v < square))

    expected = by_hand(yogi, rate=0.2, momentum=0.8, adaptivity=0.01)
    found = path(FedYogi(learning_rate=0.2, momentum=0.8, adaptivity=0.01, second_momentum=0.95))
    assert torch.allclose(found, expected)


@pytest.mark.parametrize("name", SERVER_OPTIMIZERS)
def test_every_optimizer_arrives_where_the_aggregates_stay(name):
    goal = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    weights = torch.zeros(3, dtype=torch.float64)
    server = Server(SERVER_OPTIMIZERS[name](learning_rate=0.05), weights)
    for _ in range(3000):
        weights = server.step(weights, (weights + goal) / 2)
    assert torch.allclose(weights, goal, atol=1e-2)


@pytest.mark.parametrize("name", SERVER_OPTIMIZERS)
def test_a_step_changes_neither_the_model_nor_the_aggregate(name):
    weights, aggregate = START.clone(), TARGETS[0].clone()
    server = Server(SERVER_OPTIMIZERS[name](), weights)
    after = server.step(weights, aggregate)
    server.step(after, TARGETS[1])
    assert torch.equal(weights, START)
    assert torch.equal(aggregate, TARGETS[0])


@pytest.mark.parametrize("name", SERVER_OPTIMIZERS)
def test_a_resumed_server_goes_on_bit_for_bit(name):
    optimizer = SERVER_OPTIMIZERS[name]()
    uninterrupted = path(optimizer)
    server, weights = Server(optimizer, START), START
    for target in TARGETS[:4]:
        weights = server.step(weights, (weights + target) / 2)
    kept = server.state()
    server.step(weights, TARGETS[0])  # what is kept is a copy

    resumed = Server(optimizer, weights)
    resumed.load_state(kept)
    for number, target in enumerate(TARGETS[4:], start=4):
        weights = resumed.step(weights, (weights + target) / 2)
        assert torch.equal(weights, uninterrupted[number])


def test_the_state_of_another_optimizer_or_model_is_refused():
    with pytest.raises(ValueError, match="server optimizer's state"):
        Server(FedAvg(), START).load_state(Server(FedAdam(), START).state())
    with pytest.raises(ValueError, match="expected"):
        Server(FedAdam(), START).load_state(Server(FedAdam(), START[:3]).state())


@pytest.mark.parametrize("name", SERVER_OPTIMIZERS)
@pytest.mark.parametrize("value", [-1.0, float("nan")])
def test_parameters_out_of_range_are_refused_by_name(name, value):
    for parameter in dataclasses.fields(SERVER_OPTIMIZERS[name]):
        with pytest.raises(ValueError, match=f"^{parameter.name} must be"):
            SERVER_OPTIMIZERS[name](**{parameter.name: value})


@pytest.mark.parametrize("name", SERVER_OPTIMIZERS)
def test_the_type_of_the_weights_is_kept(name):
    assert path(SERVER_OPTIMIZERS[name](), START.float(), TARGETS.float()).dtype == torch.float32


@cuda
@pytest.mark.parametrize("name", SERVER_OPTIMIZERS)
def test_a_gpu_takes_the_same_path(name):
    there = path(SERVER_OPTIMIZERS[name](), START.cuda(), TARGETS.cuda())
    assert there.is_cuda
    assert torch.allclose(there.cpu(), path(SERVER_OPTIMIZERS[name]()))
