"""The best placement of a whole DAG, in numbers only: exact, or with the gap to the best."""

from stix.plan.solve.problem import (
    Flow,
    Infeasible,
    Limits,
    Minimize,
    Movement,
    Option,
    Problem,
    Rate,
    Reuse,
    Solution,
)
from stix.plan.solve.solver import evaluate, pareto, solve

__all__ = [
    "Flow",
    "Infeasible",
    "Limits",
    "Minimize",
    "Movement",
    "Option",
    "Problem",
    "Rate",
    "Reuse",
    "Solution",
    "evaluate",
    "pareto",
    "solve",
]
