"""What each upload of a round is worth: its value in the game of test accuracy, by one method a file.

The worth of a coalition is the accuracy (or the negative loss) of the weighted mean of its uploads; of the base model,
if it is empty or has no weight. Averaging is linear, so the models of many coalitions are one matrix product.

    game = RoundGame(model, base, uploads, weights, x, y)
    found = CONTRIBUTION["gtg_shapley"]().measure(game, Draws(streams, counter=7), Effort(max_evaluations=5000))
    found.values, found.interval(0.95), found.ended
"""

from learning.contribution.across_rounds import ACROSS_ROUNDS, AcrossRounds
from learning.contribution.banzhaf import Banzhaf
from learning.contribution.comfedsv import ComFedSV
from learning.contribution.cosine import Cosine
from learning.contribution.exact_shapley import ExactShapley
from learning.contribution.fedsv import FedSV
from learning.contribution.game import BudgetSpent, Game
from learning.contribution.gtg import GTGShapley
from learning.contribution.leave_one_out import LeaveOneOut
from learning.contribution.loss_drop import LossDrop
from learning.contribution.method import CONTRIBUTION, Method
from learning.contribution.monte_carlo import TruncatedMonteCarlo
from learning.contribution.result import Contribution
from learning.contribution.round_game import RoundGame
from learning.contribution.round_shapley import EXACT_UP_TO, Shapley, shapley
from learning.contribution.sampling import Draws, Effort, Progress

__all__ = [
    "ACROSS_ROUNDS",
    "CONTRIBUTION",
    "EXACT_UP_TO",
    "AcrossRounds",
    "Banzhaf",
    "BudgetSpent",
    "ComFedSV",
    "Contribution",
    "Cosine",
    "Draws",
    "Effort",
    "ExactShapley",
    "FedSV",
    "GTGShapley",
    "Game",
    "LeaveOneOut",
    "LossDrop",
    "Method",
    "Progress",
    "RoundGame",
    "Shapley",
    "TruncatedMonteCarlo",
    "shapley",
]
