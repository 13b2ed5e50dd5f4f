"""The scenarios by name."""

from collections.abc import Mapping
from types import MappingProxyType

from runtime.sim import Scenario
from supervisors.simulation.audit import AuditScenario
from supervisors.simulation.auth import AuthScenario
from supervisors.simulation.badges import BadgesScenario
from supervisors.simulation.campaigns import CampaignsScenario
from supervisors.simulation.deferrals import DeferralsScenario
from supervisors.simulation.deliveries import DeliveriesScenario
from supervisors.simulation.entities import EntitiesScenario
from supervisors.simulation.events import EventsScenario
from supervisors.simulation.everything import EverythingScenario
from supervisors.simulation.flags import FlagsScenario
from supervisors.simulation.jobs import JobsScenario
from supervisors.simulation.orders import OrdersScenario
from supervisors.simulation.outbox import OutboxScenario
from supervisors.simulation.points import PointsScenario
from supervisors.simulation.products import ProductsScenario
from supervisors.simulation.referrals import ReferralsScenario
from supervisors.simulation.returns import ReturnsScenario
from supervisors.simulation.rewards import RewardsScenario
from supervisors.simulation.segments import SegmentsScenario
from supervisors.simulation.sessions import SessionsScenario
from supervisors.simulation.sharded import ShardsScenario
from supervisors.simulation.transfers import TransfersScenario

ALL = (
    AuditScenario,
    AuthScenario,
    BadgesScenario,
    CampaignsScenario,
    DeferralsScenario,
    DeliveriesScenario,
    EntitiesScenario,
    EventsScenario,
    EverythingScenario,
    FlagsScenario,
    JobsScenario,
    OrdersScenario,
    OutboxScenario,
    PointsScenario,
    ProductsScenario,
    ReferralsScenario,
    ReturnsScenario,
    RewardsScenario,
    SegmentsScenario,
    SessionsScenario,
    ShardsScenario,
    TransfersScenario,
)

SCENARIOS: Mapping[str, type[Scenario]] = MappingProxyType({each.name: each for each in ALL})
