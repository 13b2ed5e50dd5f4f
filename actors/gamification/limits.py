"""How long rules may take."""

from typing import Final

RULE_LIMIT_S: Final = 0.2
"""For one rule. One that is matched in a process of its own is ended then."""

EVENT_LIMIT_S: Final = 1.0
"""For all rules of one event. What is left then is skipped, and tried again."""
