"""Plans: which processes the program runs as, and which domains each of them has."""

from config.plans.loading import load_plan
from config.plans.model import DOMAINS, Plan, RestartBounds, ShardPlan

__all__ = ["DOMAINS", "Plan", "RestartBounds", "ShardPlan", "load_plan"]
