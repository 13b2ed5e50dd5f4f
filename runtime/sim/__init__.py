"""Simulations: whole trees in virtual time under faults, replayed from a seed.

`docs/simulation.md` shows how to use it.
"""

from runtime.sim.changes import Change
from runtime.sim.faults import (
    CHANCES,
    LINK_CHANCES,
    LINK_TROUBLES,
    NO_CHANCES,
    NO_FAULTS,
    TROUBLES,
    Chances,
    Event,
    FaultPlan,
    FaultSpec,
    Trouble,
    draw_plan,
)
from runtime.sim.findings import Finding, Findings, SimulationFailed
from runtime.sim.kernel import NotSimulated, run_deterministically
from runtime.sim.life import Life
from runtime.sim.network import ProcessNetwork, VirtualNetwork
from runtime.sim.running import Outcome, Script, run_script, run_seed, script_of
from runtime.sim.scenario import Operation, Run, Scenario, Step
from runtime.sim.selection import Selection
from runtime.sim.service import NoAnswer, Service
from runtime.sim.shrinking import Shrunk, shrink
from runtime.sim.system import SimulatedSystem
from runtime.sim.trace import Trace
from runtime.sim.world import World, world

__all__ = [
    "CHANCES",
    "LINK_CHANCES",
    "LINK_TROUBLES",
    "NO_CHANCES",
    "NO_FAULTS",
    "TROUBLES",
    "Chances",
    "Change",
    "Event",
    "FaultPlan",
    "FaultSpec",
    "Finding",
    "Findings",
    "Life",
    "NoAnswer",
    "NotSimulated",
    "Operation",
    "Outcome",
    "ProcessNetwork",
    "Run",
    "Scenario",
    "Script",
    "Selection",
    "Service",
    "Shrunk",
    "SimulatedSystem",
    "SimulationFailed",
    "Step",
    "Trace",
    "Trouble",
    "VirtualNetwork",
    "World",
    "draw_plan",
    "run_deterministically",
    "run_script",
    "run_seed",
    "script_of",
    "shrink",
    "world",
]
