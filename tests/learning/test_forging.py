import numpy as np
import torch

from learning.forging import boosted, noise, peer_copy, replay
from learning.owner_rows import OwnerRows
from learning.streams import Streams

BASE = torch.arange(12, dtype=torch.float32).reshape(3, 4)
STREAMS = Streams(5)


def filled_memory() -> OwnerRows:
    memory = OwnerRows(4, torch.float32, torch.device("cpu"))
    memory.remember(np.array([7, 40]), torch.tensor([[1.0] * 4, [2.0] * 4]))
    return memory


def test_a_replay_repeats_the_last_change_of_the_global_model():
    current, previous = torch.full((4,), 3.0), torch.full((4,), 1.0)
    assert torch.equal(replay(BASE, current, previous), BASE + 2.0)


def test_a_replay_without_history_is_the_base():
    forged = replay(BASE, torch.ones(4), None)
    assert torch.equal(forged, BASE)
    assert forged is not BASE


def test_a_scaled_change_lies_on_the_line_from_its_base():
    moved = BASE + torch.tensor([1.0, -1.0, 2.0, 0.0])
    forged = boosted(moved, BASE, np.array([1.0, 0.5, 3.0]))
    assert torch.allclose(forged - BASE, torch.tensor([[1.0], [0.5], [3.0]]) * (moved - BASE))


def test_an_owner_that_boosts_by_its_weight_in_the_mean_replaces_the_model():
    # Bagdasaryan et al. 2020, equation 3: the others have converged, so that their updates cancel out.
    base, trained, share = torch.zeros(4), torch.tensor([[1.0, -2.0, 3.0, 0.5]]), 0.1
    sent = boosted(trained, base, np.array([1 / share]))
    assert torch.allclose((1 - share) * base + share * sent[0], trained[0])


def test_noise_has_exactly_the_norm_asked_for():
    base = torch.zeros(3, 500, dtype=torch.float64)
    forged = noise(base, np.array([4, 5, 6]), np.array([0.5, 2.0, 10.0]), 1, STREAMS)
    assert np.allclose(forged.norm(dim=1).numpy(), [0.5, 2.0, 10.0])
    assert not base.any()
    directions = forged / forged.norm(dim=1, keepdim=True)
    assert (directions @ directions.T - torch.eye(3, dtype=torch.float64)).abs().max() < 0.2


def test_noise_belongs_to_owner_and_round():
    def draw(owners, counter):
        return (
            noise(BASE[: len(owners)], np.array(owners), np.ones(len(owners)), counter, STREAMS) - BASE[: len(owners)]
        )

    assert torch.allclose(draw([4, 5], 1)[1], draw([5], 1)[0], atol=1e-6)
    assert not torch.allclose(draw([5], 1), draw([5], 2), atol=1e-2)


def test_noise_without_a_published_norm_is_the_base():
    forged = noise(BASE, np.array([4, 5, 6]), np.array([np.nan, 0.0, np.inf]), 1, STREAMS)
    assert torch.equal(forged, BASE)


def test_a_peer_copy_is_the_peers_last_upload_as_sent():
    forged = peer_copy(BASE, np.array([40, -1, 7]), filled_memory())
    assert torch.equal(forged, torch.stack([torch.full((4,), 2.0), BASE[1], torch.ones(4)]))


def test_a_copy_of_a_peer_that_sent_nothing_is_the_base():
    empty = OwnerRows(4, torch.float32, torch.device("cpu"))
    assert torch.equal(peer_copy(BASE, np.array([3, 4, 5]), empty), BASE)


def test_memory_keeps_the_latest_of_each_owner_while_it_grows():
    memory = filled_memory()
    for owner in range(20):
        memory.remember(np.array([owner, 40]), torch.full((2, 4), float(owner)))
    memory.remember(np.array([3, 3]), torch.tensor([[8.0] * 4, [9.0] * 4]))
    rows, known = memory.recall(np.array([40, 3, 21, 12]))
    assert known.tolist() == [True, True, False, True]
    assert rows[:, 0].tolist() == [19.0, 9.0, 12.0]


def test_memory_does_not_follow_later_changes_of_what_it_was_given():
    memory, sent = filled_memory(), torch.ones(1, 4)
    memory.remember(np.array([9]), sent)
    sent.fill_(5.0)
    assert memory.recall(np.array([9]))[0].tolist() == [[1.0] * 4]


def test_memory_is_restored_from_its_state():
    restored = OwnerRows(4, torch.float32, torch.device("cpu"))
    restored.load_state(*filled_memory().state())
    restored.remember(np.array([8]), torch.zeros(1, 4))
    rows, known = restored.recall(np.array([7, 8, 40]))
    assert known.all()
    assert rows[:, 0].tolist() == [1.0, 0.0, 2.0]
