"""Templates of messages: checked when they are saved, and rendered within bounds.

They are Jinja2 in its sandbox, and of its language only what cannot run for long: texts, variables,
conditions, comparisons and a few filters. No loops, calls, arithmetic or inclusions, so that a
template takes time and space in proportion to its own length.
"""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, Final, TypeAlias

import attrs
from jinja2 import StrictUndefined, Template, TemplateError, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from actors.campaign.messages import Content, SendChannel, Trigger
from actors.vocabulary import Refusal, RefusalKind

TEMPLATE_MAX: Final = 64 * 1024
SUBJECT_MAX: Final = 200
RENDERED_MAX: Final = 256 * 1024
TEXT_MAX: Final = 1_600
"""Characters of a short message: ten parts of 160."""

COMPILED_MAX: Final = 256
TAGS_MAX: Final = 300
NODES_MAX: Final = 2_000
"""To compile as much takes a few hundredths of a second."""

ALLOWED: Final = (
    nodes.Template,
    nodes.Output,
    nodes.TemplateData,
    nodes.Name,
    nodes.Getattr,
    nodes.Const,
    nodes.If,
    nodes.CondExpr,
    nodes.And,
    nodes.Or,
    nodes.Not,
    nodes.Compare,
    nodes.Operand,
    nodes.Filter,
)
FILTERS: Final = frozenset(
    {"capitalize", "default", "e", "escape", "lower", "title", "trim", "upper"}
)

Sample: TypeAlias = Mapping[str, Mapping[str, object]]

SAMPLE: Final[Sample] = {
    "customer": {"id": "c-1", "name": "Ada"},
    "shop": {"name": "Shop", "website": "https://shop.example"},
    "links": {"unsubscribe": "https://shop.example/u"},
}
"""The variables that every template has, with values as they may be."""

FACTS: Final[Mapping[Trigger, Mapping[str, object]]] = {
    Trigger.BIRTHDAY: {"date": "2026-03-01"},
    Trigger.POINTS_EXPIRING: {"points": 120, "date": "2026-03-01"},
    Trigger.TIER_CHANGED: {"tier": "gold", "from_tier": "silver"},
}
"""What `occasion` has beside, by the automation's trigger."""


class TemplateTrouble(Exception):
    """A template cannot be used, or a message of it not be made. The text says why."""


@attrs.frozen
class Rendered:
    """A message. The subject is one line."""

    text: str = attrs.field(repr=False)
    subject: str | None = None
    html: str | None = attrs.field(default=None, repr=False)


def _environment(*, html: bool) -> ImmutableSandboxedEnvironment:
    made = ImmutableSandboxedEnvironment(
        undefined=StrictUndefined, autoescape=html, keep_trailing_newline=True
    )
    made.filters = {name: made.filters[name] for name in FILTERS}
    made.globals = {}
    made.tests = {name: made.tests[name] for name in ("defined", "none")}
    return made


PLAIN: Final = _environment(html=False)
HTML: Final = _environment(html=True)


def check_content(content: Content, trigger: Trigger | None = None) -> Refusal | None:
    """Why a campaign cannot send this. A variable that there is not is named."""
    try:
        check_parts(content, trigger)
    except TemplateTrouble as trouble:
        return Refusal(RefusalKind.INVALID, "invalid_template", str(trouble))
    return None


def check_parts(content: Content, trigger: Trigger | None = None) -> None:
    """Raises `TemplateTrouble`."""
    is_mail = content.channel is SendChannel.EMAIL
    if is_mail and not (content.subject or "").strip():
        raise TemplateTrouble("an e-mail needs a subject")
    if not is_mail and (content.subject is not None or content.html is not None):
        raise TemplateTrouble("only an e-mail has a subject or html")
    if not content.body.strip():
        raise TemplateTrouble("the body is empty")
    if content.subject is not None and len(content.subject) > SUBJECT_MAX:
        raise TemplateTrouble(f"a subject has at most {SUBJECT_MAX} characters")
    sample = sample_of(trigger)
    for part, source in _parts(content):
        _check_source(part, source, sample)
    render(content, sample)


def sample_of(trigger: Trigger | None) -> Sample:
    return SAMPLE if trigger is None else {**SAMPLE, "occasion": FACTS[trigger]}


def _parts(content: Content) -> Iterator[tuple[str, str]]:
    yield "body", content.body
    if content.subject is not None:
        yield "subject", content.subject
    if content.html is not None:
        yield "html", content.html


def _check_source(part: str, source: str, sample: Sample) -> None:
    if len(source) > TEMPLATE_MAX:
        raise TemplateTrouble(f"{part}: at most {TEMPLATE_MAX} characters")
    if part == "subject" and any(character < " " for character in source):
        raise TemplateTrouble("subject: no line breaks and no controls")
    if source.count("{{") + source.count("{%") > TAGS_MAX:
        raise TemplateTrouble(f"{part}: more than {TAGS_MAX} variables and conditions")
    try:
        tree = PLAIN.parse(source)
    except (TemplateError, RecursionError) as error:
        raise TemplateTrouble(f"{part}: {str(error) or 'nested too deeply'}"[:300]) from error
    for count, node in enumerate(_below(tree)):
        if count > NODES_MAX:
            raise TemplateTrouble(f"{part}: too many parts")
        _check_node(part, node, sample)


def _below(node: nodes.Node) -> Iterator[nodes.Node]:
    """The node and all that is in it; of `customer.name` the whole alone."""
    waiting = [node]
    while waiting:
        here = waiting.pop()
        yield here
        if not (isinstance(here, nodes.Getattr) and isinstance(here.node, nodes.Name)):
            waiting += here.iter_child_nodes()


def _check_node(part: str, node: nodes.Node, sample: Sample) -> None:
    if not isinstance(node, ALLOWED):
        kind = type(node).__name__.lower()
        raise TemplateTrouble(f"{part}: line {node.lineno}: {kind} is not allowed in a message")
    if isinstance(node, nodes.Filter) and node.name not in FILTERS:
        raise TemplateTrouble(f"{part}: line {node.lineno}: there is no filter {node.name}")
    if isinstance(node, nodes.Name):
        raise TemplateTrouble(f"{part}: line {node.lineno}: {node.name} alone says nothing")
    if isinstance(node, nodes.Getattr):
        base = node.node.name if isinstance(node.node, nodes.Name) else ""
        if node.attr not in sample.get(base, {}):
            known = ", ".join(f"{name}.{attr}" for name in sample for attr in sample[name])
            detail = f"there is no variable {base}.{node.attr}; there are {known}"
            raise TemplateTrouble(f"{part}: line {node.lineno}: {detail}"[:500])


@lru_cache(COMPILED_MAX)
def _compiled(source: str, html: bool) -> Template:
    return (HTML if html else PLAIN).from_string(source)


def render(content: Content, variables: Mapping[str, Any]) -> Rendered:
    """The message for one recipient. Raises `TemplateTrouble`, also where a variable is missing."""
    subject = content.subject
    body_max = TEXT_MAX if content.channel is SendChannel.SMS else RENDERED_MAX
    return Rendered(
        _rendered("body", content.body, variables, body_max),
        None if subject is None else one_line(_rendered("subject", subject, variables, 4_000)),
        None
        if content.html is None
        else _rendered("html", content.html, variables, RENDERED_MAX, html=True),
    )


def _rendered(
    part: str, source: str, variables: Mapping[str, Any], most: int, *, html: bool = False
) -> str:
    try:
        text = _compiled(source, html).render(variables)
    except (TemplateError, TypeError, ValueError, RecursionError) as error:
        raise TemplateTrouble(f"{part}: {error}"[:300]) from error
    if len(text) > most:
        raise TemplateTrouble(f"{part}: longer than {most} characters")
    return text


def one_line(text: str) -> str:
    """The text as a header may have it: controls and line breaks become spaces."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:SUBJECT_MAX]
