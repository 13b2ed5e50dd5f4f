"""All domains at once, with faults everywhere."""

from supervisors.simulation.audit import Audit
from supervisors.simulation.auth import Auth
from supervisors.simulation.badges import Badges
from supervisors.simulation.campaigns import Campaigns
from supervisors.simulation.deferrals import Deferrals
from supervisors.simulation.deliveries import Deliveries
from supervisors.simulation.events import Events
from supervisors.simulation.flags import Flags
from supervisors.simulation.jobs import Jobs
from supervisors.simulation.orders import Orders
from supervisors.simulation.parts import ApplicationScenario
from supervisors.simulation.points import Points
from supervisors.simulation.products import Products
from supervisors.simulation.referrals import Referrals
from supervisors.simulation.returns import Returns
from supervisors.simulation.rewards import Rewards
from supervisors.simulation.segments import Segments
from supervisors.simulation.sessions import Sessions
from supervisors.simulation.transfers import Transfers


class EverythingScenario(ApplicationScenario):
    """What all other scenarios of the application do, together."""

    name = "everything"
    parts = (
        Points,
        Orders,
        Products,
        Auth,
        Jobs,
        Deferrals,
        Audit,
        Returns,
        Sessions,
        Transfers,
        Rewards,
        Flags,
        Badges,
        Deliveries,
        Referrals,
        Campaigns,
        Segments,
        Events,
    )
    operations = 60
