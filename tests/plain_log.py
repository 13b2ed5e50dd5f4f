"""How tests log: as structlog does by itself, but with the tracebacks that Python prints.

Those it would draw, with the values of all variables, take up to half a second each.
"""

import structlog


def log_plainly() -> None:
    """From here on, and again after a test that has configured the log."""
    structlog.reset_defaults()
    *others, _ = structlog.get_config()["processors"]
    renderer = structlog.dev.ConsoleRenderer(
        colors=False, exception_formatter=structlog.dev.plain_traceback
    )
    structlog.configure(processors=[*others, renderer])
