"""Every kind of upload that is not what training made, sent to a global model and among personal ones."""

import numpy as np
import pytest
import torch
from learning_samples import CPU
from personal_samples import COUNT, DATASET, NO_NORM, PLAN, SHARDS, STREAMS, everybody, personal, play, work

from learning.federation import Federation
from learning.models import FlatModel
from learning.personalization import PERSONALIZATION
from learning.uploads import Upload, poisons, recalls, works

METHODS = list(PERSONALIZATION)
TRAINED = Upload.TRAINED
FORGERIES = [kind for kind in Upload if kind != TRAINED]


def global_federation(**how) -> Federation:
    model = FlatModel("mlp", DATASET.shape, DATASET.classes)
    return Federation(model=model, dataset=DATASET, shards=SHARDS, plan=PLAN, streams=STREAMS, device=CPU, **how)


class Sent:
    """What owner 10 sends in its second round as an honest owner and otherwise; the others are honest."""

    def __init__(self, kind, running_with, scale=1.0, norm=0.5):
        self.running, honest = running_with(), running_with()
        for running in (self.running, honest):
            self.last = self.round(running, 0, TRAINED)
        self.base = self.bases()
        cohort = self.cohort(kind, 1, scale)
        self.uploads = self.running.uploads(cohort, self.running.version, norm)
        self.cheated = self.uploads[0]
        self.honest = honest.uploads(self.cohort(TRAINED, 1), honest.version, norm)[0]

    def cohort(self, kind, version, scale=1.0):
        cohort = work([kind] + [TRAINED] * (COUNT - 1), peers=[12] * COUNT, scale=scale)
        cohort.base_version[:] = version
        return cohort


class ToAll(Sent):
    def __init__(self, kind, **how):
        super().__init__(kind, global_federation, **how)

    def round(self, running, counter, kind):
        cohort = self.cohort(kind, counter)
        sent = running.uploads(cohort, counter, 0.5)
        running.aggregate(sent, cohort, cohort.samples.astype(float))
        return sent

    def bases(self):
        return self.running.weights


class ToEach(Sent):
    def __init__(self, kind, **how):
        super().__init__(kind, lambda: personal("pfedgraph"), **how)

    def round(self, running, counter, kind):
        return play(running, 1, self.cohort(kind, counter), first=counter)

    def bases(self):
        return self.running._models.start(np.array([10]))[0]


@pytest.mark.parametrize("among", [ToAll, ToEach])
def test_a_shuffled_upload_has_the_trained_weights_in_another_order(among):
    sent = among(Upload.SHUFFLE)
    assert torch.allclose(sent.cheated.sort().values, sent.honest.sort().values, atol=1e-6)
    assert (sent.cheated != sent.honest).float().mean() > 0.8


def test_a_flipped_update_of_the_global_model_goes_the_other_way_from_it():
    sent = ToAll(Upload.SIGN_FLIP)
    assert torch.allclose(sent.cheated - sent.base, sent.base - sent.honest, atol=1e-6)


def test_a_flipped_personal_model_is_the_opposite_of_all_that_was_learnt():
    sent = ToEach(Upload.SIGN_FLIP)
    initial = sent.running._workshop.initial
    assert torch.allclose(sent.cheated - initial, initial - sent.honest, atol=1e-6)
    moved = sent.running.distances(torch.stack([sent.honest, sent.cheated]), None)
    assert moved[0, 1] == pytest.approx(2)


@pytest.mark.parametrize("among", [ToAll, ToEach])
def test_same_value_is_all_ones(among):
    assert (among(Upload.SAME_VALUE).cheated == 1).all()


@pytest.mark.parametrize("among", [ToAll, ToEach])
def test_random_weights_are_standard_normal_and_drawn_anew_each_round(among):
    first, again = among(Upload.RANDOM), among(Upload.RANDOM)
    assert torch.equal(first.cheated, again.cheated)
    size = len(first.cheated)
    assert abs(first.cheated.mean().item()) < 4 / np.sqrt(size)
    assert first.cheated.std().item() == pytest.approx(1, abs=4 / np.sqrt(2 * size))
    later = first.running.uploads(first.cohort(Upload.RANDOM, 1), 7, NO_NORM)[0]
    assert not torch.allclose(later, first.cheated, atol=0.1)


@pytest.mark.parametrize("among", [ToAll, ToEach])
def test_the_stealthy_rider_sends_its_last_upload_with_a_little_noise(among):
    sent = among(Upload.OWN_LAST, scale=0.02, norm=0.5)
    assert (sent.cheated - sent.last[0]).norm().item() == pytest.approx(0.01, rel=1e-3)
    silent = among(Upload.OWN_LAST, norm=NO_NORM)
    assert torch.equal(silent.cheated, silent.last[0])


@pytest.mark.parametrize("among", [ToAll, ToEach])
def test_a_peer_copy_is_what_the_peer_sent_last(among):
    sent = among(Upload.PEER_COPY)
    assert torch.equal(sent.cheated, sent.last[2])


@pytest.mark.parametrize("among", [ToAll, ToEach])
def test_noise_is_added_to_what_the_owner_has(among):
    sent = among(Upload.NOISE, scale=3.0, norm=0.5)
    assert (sent.cheated - sent.base).norm().item() == pytest.approx(1.5, rel=1e-4)


@pytest.mark.parametrize("among", [ToAll, ToEach])
def test_a_copy_of_the_model_is_the_model_as_the_owner_has_it(among):
    sent = among(Upload.GLOBAL_COPY)
    assert torch.equal(sent.cheated, sent.base)


def test_a_replay_among_personal_models_is_the_own_last_upload():
    sent = ToEach(Upload.REPLAY)
    assert torch.equal(sent.cheated, sent.last[0])
    assert not torch.equal(sent.cheated, sent.base)


@pytest.mark.parametrize("kind", FORGERIES)
@pytest.mark.parametrize("among", [ToAll, ToEach])
def test_one_cheat_changes_nothing_of_what_the_others_send(among, kind):
    assert torch.allclose(among(kind).uploads[1:], among(TRAINED).uploads[1:], atol=1e-6)


@pytest.mark.parametrize("kind", FORGERIES)
@pytest.mark.parametrize("make", [global_federation, personal], ids=["global", "personal"])
def test_in_the_first_round_what_cannot_be_made_is_the_initial_model(make, kind):
    running = make()
    sent = running.uploads(work([kind] * COUNT, peers=[11] * COUNT), 0, NO_NORM)
    initial = running._workshop.initial
    made = works(kind) or kind in (Upload.SAME_VALUE, Upload.RANDOM)
    assert (sent == initial).all(dim=1).tolist() == [not made] * COUNT


@pytest.mark.parametrize("kind", [kind for kind in Upload if recalls(kind)])
def test_without_kept_uploads_nothing_can_be_sent_again(kind):
    running = personal(copying=False)
    assert not any(name.startswith("upload_") for name in running.state())
    with pytest.raises(ValueError, match="kept to be copied"):
        running.uploads(work([kind]), 0, NO_NORM)


@pytest.mark.parametrize("kind", [Upload.LABEL_FLIP, Upload.BACKDOOR])
def test_who_trains_on_falsified_data_ruins_its_own_model_too(kind):
    cheat, honest = personal("fedavg"), personal("fedavg")
    cohort, alone = work([kind] + [TRAINED] * (COUNT - 1)), np.zeros((COUNT, COUNT), dtype=np.bool_)
    play(cheat, 1, cohort, allowed=alone)
    play(honest, 1, allowed=alone)
    mine, truth = (running._models.start(np.array([10, 11])) for running in (cheat, honest))
    assert (mine[0] - truth[0]).norm() > 0.01 * truth[0].norm()
    assert torch.allclose(mine[1], truth[1], atol=1e-6)


@pytest.mark.parametrize("kind", [kind for kind in FORGERIES if not poisons(kind)])
@pytest.mark.parametrize("method", METHODS)
def test_what_an_owner_has_is_what_it_trained_whatever_it_sends(method, kind):
    cheat, honest = personal(method), personal(method)
    cohort = work([kind] + [TRAINED] * (COUNT - 1), peers=[12] * COUNT)
    for running in (cheat, honest):
        play(running, 1)
    before = cheat._models.start(np.array([10]))
    play(cheat, 1, cohort, first=1, allowed=np.zeros((COUNT, COUNT), dtype=np.bool_))
    play(honest, 1, first=1, allowed=np.zeros((COUNT, COUNT), dtype=np.bool_))
    owner = np.array([10])
    expected = honest._models.start(owner) if works(kind) else before
    assert torch.allclose(cheat._models.start(owner), expected, atol=1e-6)
    if cheat.method.centred and not cheat.method.shares_centre:
        assert torch.allclose(cheat._models.centre(owner)[0], expected, atol=1e-6), "alone, it is pulled to its own"


@pytest.mark.parametrize("kind", [Upload.SHUFFLE, Upload.SIGN_FLIP, Upload.SAME_VALUE, Upload.RANDOM])
def test_attackers_are_far_from_everybody_and_stealthy_riders_are_not(kind):
    running = personal()
    play(running, 3)
    kinds = [kind, Upload.OWN_LAST] + [TRAINED] * (COUNT - 2)
    cohort = work(kinds, scale=0.02)
    apart = running.distances(running.uploads(cohort, 3, 0.5), cohort)
    attacker, stealthy = apart[0, 2:].min(), apart[1, 2:].max()
    assert attacker > stealthy
    assert attacker > 0.7


def test_an_attacker_that_is_allowed_in_spoils_the_common_model():
    honest, attacked = personal("fedavg"), personal("fedavg")
    play(honest, 3)
    play(attacked, 3, work([Upload.RANDOM] + [TRAINED] * (COUNT - 1)))
    owners = work().owner[1:]
    assert attacked.evaluate(owners)[1].mean() > honest.evaluate(owners)[1].mean() + 0.05
    kept_out = personal("fedavg")
    allowed = everybody()
    allowed[:, 0] = False
    play(kept_out, 3, work([Upload.RANDOM] + [TRAINED] * (COUNT - 1)), allowed=allowed)
    assert kept_out.evaluate(owners)[1].mean() < attacked.evaluate(owners)[1].mean() - 0.05
