import copy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from learning_samples import blobs, clean_shards
from personal_samples import COUNT, NO_NORM, PLAN, SHARDS, STREAMS, everybody, personal, play, work

from learning.local_terms import LocalTerms
from learning.personalization import PERSONALIZATION, cosine_centre, update_dissimilarity
from learning.privacy_hook import ClipAndNoise
from learning.shards import Shards
from learning.training import LocalTraining, train_cohort
from learning.uploads import Upload

METHODS = list(PERSONALIZATION)
WEIGHTS = SHARDS.sizes.astype(float)
MANY = clean_shards(blobs(train=900), 100, STREAMS)


def starts(running, cohort=None):
    return running._models.start((work() if cohort is None else cohort).owner)


# ---- one call for all -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_a_hundred_owners_train_in_one_call_what_each_would_train_alone(method):
    calls = []

    def counted(model, base, *args, **how):
        calls.append(len(base))
        return train_cohort(model, base, *args, **how)

    running = personal(method, shards=MANY)
    running.train_with(counted)
    market = work([Upload.TRAINED] * 100, shards=MANY)
    play(running, 1, market)
    calls.clear()
    together = running.uploads(market, 1, NO_NORM)
    assert calls == ([100, 100] if method == "ditto" else [100])
    for row in range(0, 100, 7):
        alone = running.uploads(work([Upload.TRAINED], rows=[row], shards=MANY), 1, NO_NORM)
        assert torch.allclose(alone[0], together[row], atol=1e-6)


def test_an_owner_trains_from_its_own_model_to_its_own_centre():
    running = personal("proximal_centre", params={"dissimilarity_penalty": 3.0, "prox_step": 6.0})
    sent = play(running, 1)
    centre = cosine_centre(sent, running._workshop.initial, everybody(), WEIGHTS, 6.0)
    second = running.uploads(work(), 1, NO_NORM)
    for row in range(COUNT):
        terms = LocalTerms(centre=centre[row], pull=np.array([0.5]))
        place = np.array([row])
        alone = train_cohort(
            running.model, sent[row], SHARDS, place, SHARDS.sizes[place], 10 + place, 1, PLAN, STREAMS, terms=terms
        )
        assert torch.allclose(second[row], alone[0], atol=1e-5)


def test_rounds_of_training_make_every_model_better_for_its_owner():
    running = personal("pfedgraph")
    owners, rows = work().owner, np.arange(COUNT)
    before = running.owner_mean(running.evaluate(owners)[1], rows)
    play(running, 6)
    assert (running.owner_mean(running.evaluate(owners)[1], rows) < before - 0.2).all()
    assert running.version == 6


def test_without_a_choice_or_with_one_the_report_says_how_it_went():
    running = personal("ditto")
    play(running, 2)
    assert running.report.clients == 2 * 2 * COUNT
    assert running.report.backend == running.choice.backend


# ---- who takes what -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_collaboration_is_a_share_of_each_and_changes_nothing(method):
    running = personal(method)
    play(running, 2)
    before, sent = running.state(), running.uploads(work(), 2, NO_NORM)
    found = running.collaboration(sent, work(), WEIGHTS, 2)
    assert np.array_equal(found, running.collaboration(sent, work(), WEIGHTS, 2))
    assert (found >= 0).all()
    total = found.sum(axis=1)
    assert (np.isclose(total, 1) | (total == 0)).all()
    assert found.any() == (method not in ("local", "proximal_centre"))
    assert all(torch.equal(before[name], part) for name, part in running.state().items())


@pytest.mark.parametrize("method", ["cfl", "fedfomo"])
def test_what_owners_would_take_is_found_once_a_round_and_the_exchange_is_the_same(method, monkeypatch):
    asked, unasked = personal(method), personal(method)
    found, calls = type(asked.method).collaboration, []

    def counted(self, *args):
        calls.append(self)
        return found(self, *args)

    monkeypatch.setattr(type(asked.method), "collaboration", counted)
    everybody = np.ones((COUNT, COUNT), dtype=np.bool_)
    for counter in range(3):
        sent = asked.uploads(work(), counter, NO_NORM)
        asked.collaboration(sent, work(), WEIGHTS, counter)
        asked.exchange(sent, work(), WEIGHTS, everybody, counter)
        assert len(calls) == 1
        calls.clear()
        unasked.exchange(unasked.uploads(work(), counter, NO_NORM), work(), WEIGHTS, everybody, counter)
        calls.clear()
    assert all(torch.equal(part, unasked.state()[name]) for name, part in asked.state().items())


def test_only_what_is_not_held_back_is_trainable():
    held, all_of_it = personal("fedfomo"), personal("pfedgraph")
    shards = np.arange(COUNT)
    assert (all_of_it.trainable(shards) == SHARDS.sizes[shards]).all()
    assert (held.trainable(shards) == SHARDS.sizes[shards] - held.method.held_out(SHARDS.sizes[shards])).all()
    assert (held.trainable(shards) < SHARDS.sizes[shards]).all()


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6))
@pytest.mark.parametrize("method", ["fedavg", "cfl", "pfedgraph"])
def test_owners_take_only_what_they_may_in_the_proportions_of_the_method(method, seed):
    allowed = np.random.default_rng(seed).uniform(size=(COUNT, COUNT)) < 0.3
    running = personal(method)
    sent = running.uploads(work(), 0, NO_NORM)
    wanted = running.collaboration(sent, work(), WEIGHTS, 0)
    running.exchange(sent, work(), WEIGHTS, allowed, 0)
    for row in range(COUNT):
        taken = np.where(allowed[row] | (np.arange(COUNT) == row), wanted[row], 0)
        expected = torch.from_numpy(taken / taken.sum()).float() @ sent if taken.sum() > taken[row] else sent[row]
        assert torch.allclose(starts(running)[row], expected, atol=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_who_may_take_nothing_learns_as_if_it_were_alone(method):
    running, lonely = personal(method), personal(method)
    play(running, 1, allowed=np.zeros((COUNT, COUNT), dtype=np.bool_))
    for row in range(COUNT):
        play(lonely, 1, work([Upload.TRAINED], rows=[row]))
    # FedFomo puts even its own training to the test, which may fail by a hair.
    assert torch.allclose(starts(running), starts(lonely), atol=1e-6)
    assert torch.allclose(running._models.centre(work().owner)[0], lonely._models.centre(work().owner)[0], atol=1e-6)


def test_on_the_market_only_bought_models_pull():
    running = personal("proximal_centre")
    bought = np.zeros((COUNT, COUNT), dtype=np.bool_)
    bought[0, 3] = bought[0, 0] = True  # the diagonal says nothing
    sent = play(running, 1, allowed=bought)
    centre, met = running._models.centre(work().owner)
    bought[0, 0] = False
    expected = cosine_centre(sent, running._workshop.initial, bought, WEIGHTS, 5.0)
    assert met.all()
    assert torch.allclose(centre[0], expected[0], atol=1e-6)
    assert not torch.allclose(centre[0], sent[0], atol=1e-3)
    assert torch.equal(centre[1:], sent[1:])


@pytest.mark.parametrize("method", METHODS)
def test_who_says_that_it_has_no_data_takes_and_gives_nothing(method):
    running, without = personal(method), personal(method)
    weights = WEIGHTS.copy()
    weights[2] = 0
    sent = running.uploads(work(), 0, NO_NORM)
    running.exchange(sent, work(), weights, everybody(), 0)
    rest = [0, 1, 3, 4, 5]
    play(without, 1, work([Upload.TRAINED] * 5, rows=rest))
    assert torch.allclose(starts(running)[rest], starts(without)[rest], atol=1e-6)
    lonely = personal(method)
    play(lonely, 1, work([Upload.TRAINED], rows=[2]))
    assert torch.allclose(starts(running)[2], starts(lonely)[2], atol=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_owners_that_were_absent_keep_what_they_have(method):
    running = personal(method)
    play(running, 1)
    before, used = starts(running)[4:].clone(), running.evaluate(np.array([14, 15]))[1]
    play(running, 1, work([Upload.TRAINED] * 4), first=1)
    assert torch.equal(starts(running)[4:], before)
    assert np.array_equal(running.evaluate(np.array([14, 15]))[1], used)
    assert not torch.equal(starts(running)[:4], before[:1].expand(4, -1))


def test_who_joins_late_begins_with_the_initial_model():
    running = personal("proximal_centre", params={"first_round_prox": False})
    initial = starts(running).clone()
    play(running, 2, work([Upload.TRAINED] * 4))
    assert torch.equal(starts(running)[4:], initial[4:])
    newcomer = work([Upload.TRAINED], rows=[5])
    free = train_cohort(
        running.model, initial[5], SHARDS, np.array([5]), SHARDS.sizes[[5]], np.array([15]), 2, PLAN, STREAMS
    )
    assert torch.allclose(running.uploads(newcomer, 2, NO_NORM), free, atol=1e-6)


# ---- distances ------------------------------------------------------------------------------------------------------


def test_distances_go_by_what_the_models_moved():
    running = personal("proximal_centre")
    sent = running.uploads(work(), 0, NO_NORM)
    expected = update_dissimilarity(sent, running._workshop.initial).numpy()
    assert np.allclose(running.distances(sent, work()), expected)
    assert (np.diag(running.distances(sent, work())) == 0).all()
    squared = personal("proximal_centre", params={"distance": "squared_l2"}).distances(sent, work())
    assert squared[1, 4] == pytest.approx(((sent[1] - sent[4]).double() ** 2).sum().item())
    assert (np.diag(squared) == 0).all()


def test_norms_are_those_of_what_each_owner_changed_on_its_own_model():
    running = personal()
    play(running, 2)
    before, sent = starts(running), running.uploads(work(), 2, NO_NORM)
    assert running.norms(sent, work()) == pytest.approx((sent - before).norm(dim=1).numpy(), rel=1e-5)


# ---- what keeps the models sound ------------------------------------------------------------------------------------


@pytest.mark.parametrize("poison", [float("nan"), float("inf")])
@pytest.mark.parametrize("method", METHODS)
def test_a_poisoned_upload_is_refused_without_a_trace(method, poison):
    running = personal(method)
    play(running, 1)
    sent, before = running.uploads(work(), 1, NO_NORM), running.state()
    sent[1, 4] = poison
    assert running.finite(sent).tolist() == [True, False, True, True, True, True]
    assert not np.isfinite(running.norms(sent, work())[1])
    for refusing in (
        lambda: running.exchange(sent, work(), WEIGHTS, everybody(), 1),
        lambda: running.collaboration(sent, work(), WEIGHTS, 1),
    ):
        with pytest.raises(ValueError, match=r"NaN or infinite weights, of owners \[11\]"):
            refusing()
    assert all(torch.equal(before[name], part) for name, part in running.state().items())


@pytest.mark.parametrize("method", METHODS)
def test_an_owner_whose_training_diverges_goes_on_from_its_last_finite_model_and_harms_nobody(method):
    x = SHARDS.x.clone()
    sound = personal(method)
    running = personal(method, shards=Shards(x, SHARDS.y, SHARDS.sizes, SHARDS.class_mix, SHARDS.quality, np.zeros(6)))
    play(running, 1)
    play(sound, 1)
    last = starts(running)[3].clone()
    x[SHARDS.offsets[3] : SHARDS.offsets[4]] *= 1e35
    sent = running.uploads(work(), 1, NO_NORM)
    good = np.flatnonzero(running.finite(sent))
    assert good.tolist() == [0, 1, 2, 4, 5]
    rest = work([Upload.TRAINED] * 5, rows=good)
    running.exchange(sent[good], rest, WEIGHTS[good], everybody(5), 1)
    play(sound, 1, rest, first=1)
    assert torch.equal(starts(running)[3], last)
    assert torch.allclose(starts(running), starts(sound), atol=1e-6)
    assert np.isfinite(running.evaluate(work().owner)[1]).all()


def test_an_own_model_that_diverges_unseen_is_dropped_too():
    running = personal("ditto", params={"lam": 1e9}, plan=LocalTraining(epochs=20, batch_size=8))
    initial = starts(running).clone()
    sent = play(running, 1)
    assert running.finite(sent).all()
    assert torch.equal(starts(running), initial)


def test_a_centre_that_overflows_reaches_nobody():
    params = {"distance": "squared_l2", "prox_step": 1e6, "dissimilarity_penalty": 0.0}
    running = personal("proximal_centre", params=params)
    sent = running.uploads(work(), 0, NO_NORM)
    sent[0] = 1e35
    assert running.finite(sent).all()
    running.exchange(sent, work(), WEIGHTS, everybody(), 0)
    assert torch.equal(running._models.centre(work().owner)[0], starts(running))
    assert torch.isfinite(starts(running)).all()


def test_a_training_that_nobody_knows_of_is_refused():
    running = personal()
    sent = running.uploads(work([Upload.TRAINED] * 3), 0, NO_NORM)
    with pytest.raises(ValueError, match=r"no training is known of the owners \[13\]"):
        running.exchange(torch.cat([sent, sent[:1]]), work([Upload.TRAINED] * 4), WEIGHTS[:4], everybody(4), 0)


def test_privacy_is_for_others_and_the_owner_goes_on_without_it():
    plain = personal("proximal_centre")
    private = personal("proximal_centre", privacy=ClipAndNoise(clip=0.1, noise_multiplier=2.0))
    seen, shown = (running.uploads(work(), 0, NO_NORM) for running in (plain, private))
    assert not torch.allclose(seen, shown, atol=0.05)
    for running, sent in ((plain, seen), (private, shown)):
        running.exchange(sent, work(), WEIGHTS, everybody(), 0)
    assert torch.equal(starts(plain), starts(private))
    clipped = personal(privacy=ClipAndNoise(clip=0.1))
    assert clipped.norms(clipped.uploads(work(), 0, NO_NORM), work()) == pytest.approx([0.1] * COUNT, rel=1e-4)


def test_a_plan_with_a_proximal_term_is_refused():
    with pytest.raises(ValueError, match="the method decides the proximal term"):
        personal(plan=LocalTraining(proximal=0.1))


# ---- FedFomo's samples ----------------------------------------------------------------------------------------------


def test_kept_back_samples_are_never_trained_on():
    held = personal("fedfomo").method.held_out(SHARDS.sizes)
    assert (held == np.maximum(1, np.rint(0.1 * SHARDS.sizes))).all()
    y = SHARDS.y.clone()
    for shard, count in enumerate(held):
        y[SHARDS.offsets[shard + 1] - count : SHARDS.offsets[shard + 1]] = 0
    other = Shards(SHARDS.x, y, SHARDS.sizes, SHARDS.class_mix, SHARDS.quality, np.zeros(COUNT))
    first, second = personal("fedfomo"), personal("fedfomo", shards=other)
    sent = first.uploads(work(), 0, NO_NORM)
    assert torch.equal(sent, second.uploads(work(), 0, NO_NORM))
    found = [running.collaboration(sent, work(), WEIGHTS, 0) for running in (first, second)]
    assert not np.allclose(*found)


def test_a_single_sample_is_trained_on_and_tested_on():
    method = PERSONALIZATION["fedfomo"](validation_share=0.9)
    assert method.held_out(np.array([1, 2, 10, 100])).tolist() == [0, 1, 9, 90]
    single = Shards(SHARDS.x[:2], SHARDS.y[:2], np.array([1, 1]), SHARDS.class_mix[:2], np.ones(2), np.zeros(2))
    running = personal("fedfomo", shards=single)
    play(running, 2, work([Upload.TRAINED] * 2, shards=single))
    assert np.isfinite(running.evaluate(np.array([10, 11]))[1]).all()


def test_owners_are_offered_models_by_who_they_are_and_not_by_where_they_stand():
    running = personal("fedfomo", params={"models": 2, "explore": 1.0})
    order = np.array([3, 0, 5, 1, 4, 2])
    straight = running.collaboration(running.uploads(work(), 0, NO_NORM), work(), WEIGHTS, 0)
    turned = work(rows=order)
    found = running.collaboration(running.uploads(turned, 0, NO_NORM), turned, WEIGHTS[order], 0)
    assert np.allclose(found, straight[np.ix_(order, order)], atol=1e-5)


def test_likings_add_up_over_the_rounds_and_decide_whose_models_are_offered():
    running = personal("fedfomo", params={"models": 2, "explore": 0.0})
    total = np.zeros((COUNT, COUNT))
    for counter in range(3):
        sent = running.uploads(work(), counter, NO_NORM)
        found = running.collaboration(sent, work(), WEIGHTS, counter)
        running.exchange(sent, work(), WEIGHTS, everybody(), counter)
        total += np.where(everybody(), found, 0.0)
    assert np.allclose(running._models.method_memory.affinity.recall(work().owner), total, atol=1e-6)
    assert ((total > 0).sum(axis=1) <= 4).all()
    assert total.any()


def test_what_one_has_trained_counts_as_it_is_at_home_whatever_one_sends():
    honest, cheat = personal("fedfomo"), personal("fedfomo")
    expected = honest.collaboration(honest.uploads(work(), 0, NO_NORM), work(), WEIGHTS, 0)
    cheater = int(expected.diagonal().argmax())
    assert expected[cheater, cheater] > 0
    kinds = [Upload.SHUFFLE if row == cheater else Upload.TRAINED for row in range(COUNT)]
    found = cheat.collaboration(cheat.uploads(work(kinds), 0, NO_NORM), work(kinds), WEIGHTS, 0)
    assert np.allclose(found[cheater], expected[cheater], atol=1e-6)
    others = np.arange(COUNT) != cheater
    assert not np.allclose(found[others, cheater], expected[others, cheater], atol=1e-3)


# ---- clusters -------------------------------------------------------------------------------------------------------


def test_clusters_stay_with_their_owners_and_new_ones_get_new_numbers():
    running = personal("cfl", params={"eps1": 1e6, "eps2": 1e-9})  # whatever can be split is
    play(running, 1)
    labels = clusters(running)
    big = np.flatnonzero(labels == np.bincount(labels).argmax())
    assert len(big) >= 3
    assert sorted(set(labels)) == [0, 1]
    play(running, 1, work([Upload.TRAINED] * len(big), rows=big), first=1)
    absent = np.setdiff1d(np.arange(COUNT), big)
    assert np.array_equal(clusters(running)[absent], labels[absent])
    assert set(clusters(running)[big]) == {labels[big[0]], 2}


def clusters(running):
    return running._models.method_memory.clusters.recall(work().owner)[0][:, 0].numpy()


# ---- the best so far, resumption ------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_who_quits_keeps_its_best_model_and_goes_on_from_it(method):
    running = personal(method)
    owners = work().owner
    play(running, 1)
    good = running.evaluate(owners)[1]
    best = running._models.used(owners).clone()
    running.keep_best(owners, np.full(COUNT, 2.0))
    play(running, 2, first=1)
    assert not np.allclose(running.evaluate(owners)[1], good)
    running.restore_best(owners[:2])
    assert np.array_equal(running.evaluate(owners[:2])[1], good[:2])
    assert torch.equal(starts(running)[:2], best[:2])
    assert not np.allclose(running.evaluate(owners[2:])[1], good[2:])
    assert running.best_accuracy(np.array([10, 99])).tolist()[0] == 2.0
    assert np.isnan(running.best_accuracy(np.array([99]))).all()
    running.restore_best(np.array([99]))
    assert torch.equal(running._models.start(np.array([99]))[0], running._workshop.initial)


def test_the_common_model_of_ditto_is_not_taken_back_with_ones_own():
    running = personal("ditto")
    play(running, 1)
    running.keep_best(work().owner, np.full(COUNT, 2.0))
    play(running, 1, first=1)
    common = running._models.centre(work().owner)[0].clone()
    running.restore_best(work().owner)
    assert torch.equal(running._models.centre(work().owner)[0], common)
    market = personal("proximal_centre")
    play(market, 1)
    market.restore_best(work().owner)
    assert torch.equal(market._models.centre(work().owner)[0], starts(market))


@pytest.mark.parametrize("method", METHODS)
def test_a_resumed_training_goes_on_in_the_same_bits(method, tmp_path):
    kinds = [Upload.TRAINED, Upload.OWN_LAST, Upload.PEER_COPY, Upload.TRAINED, Upload.SHUFFLE, Upload.TRAINED]
    cohort = work(kinds, peers=[12, 13, 14, 10, 11, 12])
    straight = personal(method)
    play(straight, 3, cohort)
    torch.save(straight.state(), tmp_path / "state.pt")
    play(straight, 3, cohort, first=3)
    resumed = personal(method)
    resumed.load_state(torch.load(tmp_path / "state.pt"))
    assert resumed.version == 3
    play(resumed, 3, cohort, first=3)
    ours, theirs = resumed.state(), straight.state()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_a_state_does_not_change_with_the_training_that_goes_on():
    running = personal("cfl")
    play(running, 1)
    state = running.state()
    copies = copy.deepcopy(state)
    play(running, 2, first=1)
    assert all(torch.equal(state[name], copies[name]) for name in state)


def test_the_state_of_another_model_or_method_is_refused():
    state = personal("local", "softmax").state()
    with pytest.raises(ValueError, match="the state has 18 weights"):
        personal("local", "mlp").load_state(state)
    with pytest.raises(ValueError, match="of another method"):
        personal("cfl", "softmax").load_state(state)


@pytest.mark.parametrize("method", METHODS)
def test_of_who_is_gone_nothing_is_remembered(method):
    running = personal(method)
    play(running, 2)
    running.retain(np.array([11, 13]))
    state = running.state()
    assert all(set(part.tolist()) <= {11, 13} for name, part in state.items() if name.endswith("_owners"))
    assert torch.equal(starts(running)[0], running._workshop.initial)
    assert not torch.equal(starts(running)[1], running._workshop.initial)


def test_holding_a_version_costs_nothing():
    running = personal()
    running.hold(0)
    play(running, 3)
    running.release(0)
    assert running.version == 3


# ---- convolutions ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_convolutions_have_personal_models_too(method):
    images = blobs((1, 8, 8), train=60, test=30)
    shards = clean_shards(images, 4, STREAMS)
    running = personal(method, "cnn", dataset=images, shards=shards)
    market = work([Upload.TRAINED] * 4, shards=shards)
    play(running, 2, market)
    together = running.uploads(market, 2, NO_NORM)
    alone = [running.uploads(work([Upload.TRAINED], rows=[row], shards=shards), 2, NO_NORM) for row in range(4)]
    assert torch.allclose(together, torch.cat(alone), atol=1e-5)
    assert np.isfinite(running.evaluate(market.owner)[1]).all()


# ---- parameters -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "params", "message"),
    [
        ("fedprox", {"mu": -1}, "mu must be a number of at least 0"),
        ("ditto", {"lam": float("inf")}, "lam must be a number of at least 0"),
        ("fedamp", {"penalty": -1}, "penalty must be"),
        ("fedamp", {"step": 0}, "step must be a number above 0"),
        ("fedamp", {"self_weight": 1.1}, "self_weight must be in"),
        ("fedamp", {"sharpness": float("nan")}, "sharpness must be"),
        ("cfl", {"eps1": 0}, "eps1 must be a number above 0"),
        ("cfl", {"eps2": float("nan")}, "eps2 must be a number above 0"),
        ("fedfomo", {"models": -1}, "models must be at least 0"),
        ("fedfomo", {"explore": 2}, "explore must be in"),
        ("fedfomo", {"validation_share": 1}, "validation_share must be"),
        ("pfedgraph", {"alpha": 0}, "alpha must be a number above 0"),
        ("proximal_centre", {"dissimilarity_penalty": -1}, "dissimilarity_penalty must be"),
        ("proximal_centre", {"prox_step": 0}, "prox_step must be a number above 0"),
        ("proximal_centre", {"distance": "manhattan"}, "distance must be cosine_update or squared_l2"),
        ("proximal_centre", {"prox_scaling": "double"}, "prox_scaling must be over_step or plain"),
    ],
)
def test_parameters_out_of_range_are_refused(method, params, message):
    with pytest.raises(ValueError, match=message):
        PERSONALIZATION[method](**params)
