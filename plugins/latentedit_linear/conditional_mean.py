"""The conditional mean: the closed form that every conditional model of codes contains."""

from __future__ import annotations

from latentedit import FitStats, Runtime, Split, moments
from latentedit_linear.directions import LinearEditor


class ConditionalMean(LinearEditor):
    """Moves a code as the mean of codes moves with the attributes.

        w' = w + B (a' − a),    B = cov(w, a) cov(a)⁻¹

    This is the edit of a conditional normal distribution whose covariance does not depend on the
    attributes, by the map that keeps a code's residual: w − E[w | a] = w' − E[w | a']. It states no
    slope, so nothing is calibrated, and noise in labels shortens the move.

    Anderson: "An introduction to multivariate statistical analysis", 2003, section 2.5.
    """

    seeded = False

    def fit(self, data: Split, runtime: Runtime) -> FitStats:
        self.take_moves(moments(data).effects().T)
        return FitStats()
