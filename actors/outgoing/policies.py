"""The policies of providers: what their errors say about them."""

from actors.outgoing.errors import HttpFailed, MailServerFailed, ProviderFailing
from runtime.policies import (
    FAILED,
    FAILED_FOR_GOOD,
    IGNORED,
    REFUSED,
    BulkheadSpec,
    Judgement,
    PipelineSpec,
)


def judge(error: Exception) -> Judgement:
    """No answer and a 5xx are failures. Any other answer shows that it works; all else is our
    mistake."""
    return FAILED if isinstance(error, HttpFailed | ProviderFailing) else IGNORED


SMS = PipelineSpec(retry=None, judge=judge)
"""Its figures are in the settings. It does not repeat: jobs do that."""


def judge_mail(error: Exception) -> Judgement:
    """A server that refuses a message works."""
    return FAILED_FOR_GOOD if isinstance(error, MailServerFailed) else IGNORED


def judge_webhook(error: Exception) -> Judgement:
    """What one merchant's server does says nothing about the way to those of others."""
    return REFUSED if isinstance(error, HttpFailed | ProviderFailing) else IGNORED


SMTP = PipelineSpec(retry=None, judge=judge_mail)

WEBHOOKS = PipelineSpec(retry=None, judge=judge_webhook, bulkhead=BulkheadSpec(strict_shares=True))
"""Every server has a breaker of its own beside it, and half of the permits at most."""
