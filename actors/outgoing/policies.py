"""The policies of providers that are called over HTTP: what their errors say about them."""

from actors.outgoing.errors import HttpFailed, ProviderFailing
from runtime.policies import FAILED, IGNORED, Judgement, PipelineSpec


def judge(error: Exception) -> Judgement:
    """No answer and a 5xx are failures. Any other answer shows that it works; all else is our
    mistake."""
    return FAILED if isinstance(error, HttpFailed | ProviderFailing) else IGNORED


SMS = PipelineSpec(retry=None, judge=judge)
"""Its figures are in the settings. It does not repeat: jobs do that."""
