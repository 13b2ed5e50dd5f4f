"""What the campaign domain asks of points: who has a tier, and what was given."""

from actors.points.messages import GetCampaignSpent, ListTierMembers
from actors.points.promotion_records import find_spent
from actors.points.tier_reading import list_tier_members
from runtime.storage import Database

CampaignQuestion = ListTierMembers | GetCampaignSpent


async def answer_campaigns(database: Database, question: CampaignQuestion) -> object:
    if isinstance(question, ListTierMembers):
        return await list_tier_members(database, question)
    return await find_spent(database, question.merchant_id, question.campaign_id)
