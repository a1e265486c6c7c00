"""Instruction tuning: the two settings of language models under the methods of the paper's table 1."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from scenarios.palette import MUTED
from scenarios.plots.canvas import styled
from scenarios.reproduce.ipfl.living import IPFL, LOCAL, Run, Scale, Setting, market, mean_and_sd, played, training
from scenarios.reproduce.ipfl.published import INSTRUCTED, LEADS, MIX_UTILITY, ROUNDS
from scenarios.reproduce.ipfl.settings import plot_points
from scenarios.reproduce.study import NOTHING, Options, Row, Study
from scenarios.reproduce.tables import tidy
from scenarios.reproduce.verdicts import Verdict, law, other_setting, printed, unpublished

COLUMNS = ("setting", "played with", "method", "quantity")
ACCURACY, UTILITY, TOP = "accuracy (%)", "utility", "iPFL less the best other"
MIX, CODE = "Mix-Finance", "Code&Finance"
ALL, BASE = "all owners", "Llama2"

WHOLE = frozenset({"FedAvg", "FedProx"})
"""Methods with which everybody uses everybody, so the utility follows from the number of owners and their data."""


@dataclass(frozen=True)
class Tuning:
    """A setting; ``owners``: what each owner's data set is called in the paper, and here."""

    setting: Setting
    owners: tuple[tuple[str, str], ...]

    def of(self, dataset: str) -> list[int]:
        """Persons with that data set of the paper."""
        return [person for person, (name, _) in enumerate(self.owners) if name == dataset]


def _tuning(name: str, dataset: str, shards: Mapping[tuple[str, str], int], step: float, worth: float) -> Tuning:
    partition = {"name": "natural", "shards_of": list(shards.values())}
    owners = tuple(own for own, count in shards.items() for _ in range(count))
    return Tuning(Setting(name, dataset, len(owners), partition, 5.0, step, worth, first_pull=False), owners)


TUNINGS = (
    _tuning(MIX, "mix_finance_offline", {("FIQA", "posts"): 2, ("TFNS", "tickers"): 2, ("NWGI", "news"): 2},
            12.5, 2e4 / 1200),
    _tuning(CODE, "code_finance_offline", {("Code", "programs"): 5, ("NWGI", "news"): 3}, 1.0, 5e4 / 3100),
)  # fmt: skip
"""K and lambda are the paper's. Adapters of another size are trained by another optimizer at another rate here, so eta
is such that the pull on a model is of the size that it has in CIFAR-10: with the paper's eta of 1 adapters hardly move
any more after the first round. For code, of which models move little, it is the default of the authors' code, 1: a
larger step throws them past each other, and nobody buys any more. The first round is not
pulled, as in the authors' code: adapters that were held where
they began have hardly a direction, and the pull along it is huge."""

QUICK = {MIX: Scale(2, 1, None, 150, small=True), CODE: Scale(1, 1, 1240, 150, small=True)}
FULL = {MIX: Scale(8, 3, None, 150, small=False), CODE: Scale(2, 3, 1240, 150, small=False)}
"""By setting; ``text`` counts the samples that models are tested on."""


def instructions(options: Options, scales: Mapping[str, Scale] | None = None) -> Study:
    """Both settings with seven methods; ``scales`` overrides by setting what the options stand for."""
    scales = scales or (QUICK if options.quick else FULL)
    rows: list[Row] = []
    for tuning in TUNINGS:
        scale = scales[tuning.setting.name]
        runs = {
            method: [played(market(tuning.setting, scale, method), seed, options.device) for seed in scale.seed_numbers]
            for method in INSTRUCTED
        }
        rows += [*_utilities(tuning, runs), *_accuracies(tuning, runs), *_purchases(tuning, runs[IPFL])]
    told = "; ".join(
        f"{tuning.setting.name}: {training(tuning.setting, scales[tuning.setting.name]).says(tuning.setting)}, "
        f"{scales[tuning.setting.name].says()}"
        for tuning in TUNINGS
    )
    return Study(
        name="instructions",
        title="Instruction tuning, two settings",
        method=(
            f"Low-rank adapters of a small language model, trained by this project, on texts in an invented language. "
            f"{told}; one epoch a round. Number of owners, their data sizes, K, c and lambda are the paper's, "
            "so are the methods of its table; the first round has no pull, as in the authors' "
            "code. Accuracy: of the personal model on its owner's own data set (code: "
            "exact match), best over the rounds, mean over the owners of a data set; published: with Llama2, best "
            f"other method and iPFL. Utility: equation 3, mean over owners, scaled to {ROUNDS} rounds."
        ),
        columns=COLUMNS,
        rows=tuple(rows),
        figure=_figure(tidy(COLUMNS, rows)),
        caption="Mean over owners and seeds. Utilities hang on who uses whose model, hardly on how well it is trained.",
        warnings=(
            "An offline stand-in: no base model, text or optimizer is the paper's, and training is far shorter. "
            "Accuracies are not comparable; code stays near what the base model knows. One unsteady step of training "
            "can throw an adapter far from its twin's, and then they part for good: owners buy from others than their "
            "twin, and utilities follow. The deviation over seeds shows whether that happened.",
        ),
    )


def _utilities(tuning: Tuning, runs: Mapping[str, list[Run]]) -> list[Row]:
    name, found = tuning.setting.name, {}
    rows = []
    for method, played_runs in runs.items():
        found[method] = np.array([run.utility().mean() for run in played_runs])
        mean, sd = mean_and_sd(found[method])
        published = 0.0 if method == LOCAL else NOTHING
        if name == MIX:
            published = MIX_UTILITY.get("FedAvg" if method in WHOLE else method, published)
        rows.append(Row((name, ALL, method, UTILITY), mean, _of_utility(method, mean, published), sd, published))
    others = {method: values for method, values in found.items() if method != IPFL}
    mean, sd = mean_and_sd(found[IPFL] - np.max(list(others.values()), axis=0))
    rows.append(Row((name, ALL, TOP, UTILITY), mean, law(mean > 0.0, "iPFL is top in utility"), sd))
    if name == CODE:
        rest = [values for method, values in others.items() if method != "pFedGraph"]
        mean, sd = mean_and_sd(others["pFedGraph"] - np.max(rest, axis=0))
        said = law(mean > 0.0, "pFedGraph is next to iPFL in utility")
        rows.append(Row((name, ALL, "pFedGraph less the best but iPFL", UTILITY), mean, said, sd))
    return rows


def _of_utility(method: str, found: float, published: float) -> Verdict:
    if np.isnan(published):
        return unpublished("this number was not at hand")
    if method in WHOLE or method == LOCAL:
        return printed(found, published, 0.1)
    return other_setting("distances between other models decide on purchases", found, published)


def _accuracies(tuning: Tuning, runs: Mapping[str, list[Run]]) -> list[Row]:
    rows = []
    for dataset, stand_in in dict.fromkeys(tuning.owners):
        key = tuning.setting.name, f"{dataset}: {stand_in}"
        best_other, ipfl = LEADS[tuning.setting.name][dataset][BASE]
        persons = tuning.of(dataset)
        found = {
            method: np.array([run.accuracy()[persons].mean() for run in played_runs])
            for method, played_runs in runs.items()
        }
        for method, values in found.items():
            mean, sd = mean_and_sd(values)
            published = ipfl if method == IPFL else NOTHING
            said = unpublished("published is the best of the other methods only")
            if method == IPFL:
                said = other_setting("another base model, other texts", mean, published)
            rows.append(Row((*key, method, ACCURACY), mean, said, sd, published))
        others = [values for method, values in found.items() if method != IPFL]
        mean, sd = mean_and_sd(found[IPFL] - np.max(others, axis=0))
        leads = LEADS[tuning.setting.name][dataset].items()
        told = "published: " + ", ".join(f"{own - other:+.2f} with {base}" for base, (other, own) in leads)
        rows.append(Row((*key, TOP, ACCURACY), mean, unpublished(told), sd, ipfl - best_other))
    return rows


def _purchases(tuning: Tuning, runs: list[Run]) -> list[Row]:
    """Who refers to whom in the last round of iPFL, as the published utilities imply it."""
    counts = []
    for run in runs:
        last = run.edges[run.edges["round"] == run.rounds - 1]
        data = np.array([name for name, _ in tuning.owners])
        user, source = last["user"].to_numpy(int), last["source"].to_numpy(int)
        if tuning.setting.name == MIX:
            bought = np.bincount(user, minlength=len(data))
            twins = np.bincount(user[data[user] == data[source]], minlength=len(data))
            counts.append(float(((bought == 1) & (twins == 1)).sum()))
        else:
            finance = user[(data[user] == "NWGI") & (data[source] == "Code")]
            counts.append(float(len(np.unique(finance))))
    mean, sd = mean_and_sd(counts)
    if tuning.setting.name == MIX:
        what, who = "each owner buys from its twin and nobody else", "owners that buy from their twin only"
    else:
        what, who = "finance owners buy models of code", "finance owners that buy models of code"
    expected = float(len(tuning.owners) if tuning.setting.name == MIX else len(tuning.of("NWGI")))
    return [Row((tuning.setting.name, ALL, IPFL, f"{who}, last round"), mean, law(mean == expected, what), sd)]


@styled
def _figure(shown: pd.DataFrame) -> Figure:
    figure = Figure(figsize=(11.4, 5.4), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1.2, 1.0))
    methods = shown[shown["method"].isin(INSTRUCTED)]
    plot_points(methods[methods["quantity"] == ACCURACY], left)
    plot_points(methods[methods["quantity"] == UTILITY], right)
    left.set_title("Accuracy of personal models")
    left.set_xlabel("accuracy on the own data set (%)")
    right.set_title("Utility of their owners")
    right.set_xlabel(f"utility over {ROUNDS} rounds (money)")
    right.axvline(0.0, color=MUTED, linewidth=0.8, zorder=1)
    handles, labels = right.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    return figure
