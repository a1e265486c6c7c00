"""Studies on a real Ray cluster of two nodes on this machine, one of which is ended in the middle."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from study_files import TINY, plan_of, play_here, results

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    ray = pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

from learning.streams import Streams
from scenarios.errors import BadInput
from scenarios.schema import Scenario
from scenarios.simulation import Simulation
from scenarios.spreading import gpu_share, room_on, spread
from scenarios.studies import open_study
from scenarios.studies.batch import Batch
from scenarios.studies.progress import Standing
from scenarios.studies.ray_engine import RayEngine, check_room
from scenarios.studies.schema import Resources
from scenarios.studies.store import Store

pytestmark = pytest.mark.filterwarnings("ignore")  # of Ray's own parts
SMALL_STORE = 80_000_000  # bytes of shared memory per node


@pytest.fixture
def cluster() -> Iterator[tuple[Any, Any]]:
    """A cluster whose head takes two runs at a time, and a second node that takes one."""
    found = Cluster(
        initialize_head=True,
        head_node_args={"num_cpus": 2, "object_store_memory": SMALL_STORE, "include_dashboard": False},
    )
    second = found.add_node(num_cpus=1, object_store_memory=SMALL_STORE)
    try:
        yield found, second
    finally:
        ray.shutdown()
        found.shutdown()


def test_a_study_survives_the_end_of_a_node_and_gives_the_bytes_of_a_local_one(cluster, tmp_path):
    machines, second = cluster
    content = {"market.budget": [5.0, 10.0], "data.dataset": ["digits", "gone.npz"]}
    plan = plan_of(tmp_path, factors=content, replications=3, keep=["rounds"], set={"horizon": 4})
    store = Store(tmp_path / "ray")
    nodes: dict[int, int] = {}

    class EndANode:
        def tell(self, standing: Standing) -> None:
            ended = standing.done + standing.failed
            if ended == 3 and ended not in nodes:
                machines.remove_node(second, allow_graceful=False)
                while alive() > 1:  # the cluster notices a moment later
                    time.sleep(0.1)
            nodes[ended] = alive()

    with store.begin(), RayEngine(store, Resources(), address=machines.address) as engine:
        standing = Batch(plan, store).play(engine, lambda total: EndANode())
    assert nodes == {ended: 2 if ended < 3 else 1 for ended in range(13)}
    assert (standing.runs, standing.done, standing.failed) == (12, 6, 6)
    assert "gone.npz" in open_study(store.folder).runs["error"].dropna().iloc[0]
    play_here(plan, tmp_path / "local")
    assert results(store.folder) == results(tmp_path / "local")


def test_a_run_spread_over_workers_trains_the_models_of_a_single_process_and_survives_the_end_of_a_node(cluster):
    machines, second = cluster
    content = TINY | {"learning": {"model": "mlp"}, "data": {"shards": 6, "train_limit": 300, "test_limit": 50}}
    whole, dealt = (Simulation(scenario=Scenario.model_validate(content), device="cpu") for _ in range(2))
    for _ in whole.play():
        pass
    ray.init(address=machines.address, log_to_driver=False)
    with spread(dealt, workers=2):
        steps = dealt.play()
        next(steps)
        machines.remove_node(second, allow_graceful=False)
        for _ in steps:
            pass
    assert whole.world.federation is not None
    assert dealt.world.federation is not None
    assert dealt.world.federation.report.clients == whole.world.federation.report.clients > 4
    expected, found = whole.world.federation.weights, dealt.world.federation.weights
    assert (expected - whole.world.federation.model.initial(Streams(1))).abs().max() > 0.001
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)


def test_what_no_cluster_has_room_for_is_told_in_one_line_instead_of_waited_for(cluster):
    machines, _ = cluster
    ray.init(address=machines.address, log_to_driver=False)
    check_room(Resources(cpus=2.0))
    with pytest.raises(BadInput, match=r"^resources: no machine of the cluster has 3 CPUs and 0 GPUs$"):
        check_room(Resources(cpus=3.0))  # there are three, but on two machines
    with pytest.raises(BadInput, match=r"^resources: no machine of the cluster has 1 CPUs and 0.5 GPUs$"):
        check_room(Resources(gpus=0.5))
    simulation = Simulation(scenario=Scenario.model_validate(TINY | {"learning": {"model": "mlp"}}), device="cpu")
    with pytest.raises(BadInput, match=r"^--spread: 8: the cluster has room for 3 workers$"), spread(simulation, 8):
        pass


@pytest.mark.parametrize(("gpus", "workers", "share"), [(0, 4, 0), (8, 4, 1), (2, 3, 0.5), (4, 9, 1 / 3), (1, 1, 1)])
def test_shares_of_gpus_let_every_worker_find_a_place(gpus, workers, share):
    assert gpu_share(gpus, workers) == share
    if gpus:
        assert room_on({"CPU": 64.0, "GPU": float(gpus)}, 1, share) >= workers


def alive() -> int:
    """Nodes that the cluster counts on."""
    return sum(node["Alive"] for node in ray.nodes())
