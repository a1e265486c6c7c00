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
from scenarios.schema import Scenario
from scenarios.simulation import Simulation
from scenarios.spreading import spread
from scenarios.studies import open_study
from scenarios.studies.batch import Batch
from scenarios.studies.progress import Standing
from scenarios.studies.ray_engine import RayEngine
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
    nodes: list[int] = []

    class EndANode:
        def tell(self, standing: Standing) -> None:
            if standing.done + standing.failed == 3:
                machines.remove_node(second, allow_graceful=False)
                while alive() > 1:  # the cluster notices a moment later
                    time.sleep(0.1)
            nodes.append(alive())

    with store.begin(), RayEngine(store, Resources(), address=machines.address) as engine:
        standing = Batch(plan, store).play(engine, lambda total: EndANode())
    assert nodes == [2, 2, *[1] * 10]
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


def alive() -> int:
    """Nodes that the cluster counts on."""
    return sum(node["Alive"] for node in ray.nodes())
