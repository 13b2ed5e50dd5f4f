"""Templates: what is wrong with one is said when it is saved, and none of them can do harm."""

from typing import Any

import pytest

from actors.campaign.messages import Content, SendChannel, Trigger
from actors.campaign.templates import SAMPLE, TemplateTrouble, check_content, render


def mail(body: str = "Hello", subject: str | None = "News", html: str | None = None) -> Content:
    return Content(channel=SendChannel.EMAIL, body=body, subject=subject, html=html)


def text(body: str, subject: str | None = None) -> Content:
    return Content(channel=SendChannel.SMS, body=body, subject=subject)


@pytest.mark.parametrize(
    "body",
    [
        "Hello",
        "Hello {{ customer.name }} of {{ shop.name }}: {{ links.unsubscribe }}",
        "{% if customer.name %}Dear {{ customer.name | title }}{% else %}Hello{% endif %}",
        "{{ customer.name | default('friend', true) | upper }}",
        "{{ 'yes' if customer.name == 'Ada' and not shop.website else 'no' }}",
    ],
)
def test_what_is_allowed(body: str) -> None:
    assert check_content(mail(body)) is None


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (mail("{{ customer.nmae }}"), "no variable customer.nmae"),
        (mail("{% if false %}{{ customer.nmae }}{% endif %}"), "no variable customer.nmae"),
        (mail("{{ occasion.points }}"), "no variable occasion.points"),
        (mail("{{ nobody }}"), "nobody alone says nothing"),
        (mail("{{ customer }}"), "customer alone says nothing"),
        (mail("{{ customer.name"), "body:"),
        (mail("{% for a in customer.name %}{% endfor %}"), "for is not allowed"),
        (mail("{{ 'a' * 1000000000 }}"), "mul is not allowed"),
        (mail("{{ 2 ** 99999999 }}"), "pow is not allowed"),
        (mail("{{ customer.name() }}"), "call is not allowed"),
        (mail("{{ customer['name'] }}"), "getitem is not allowed"),
        (mail("{{ customer.__class__ }}"), "no variable customer.__class__"),
        (mail("{{ customer.name.__class__ }}"), "no variable .__class__"),
        (mail("{% include 'other' %}"), "include is not allowed"),
        (mail("{% set a = 1 %}"), "assign is not allowed"),
        (mail("{{ customer.name | replace('a', 'b') }}"), "filter"),
        (mail("{% macro a() %}{% endmacro %}"), "macro is not allowed"),
        (mail("x" * 70_000), "at most"),
        (mail("((" * 200 + "{{ " + "(" * 3_000 + "1" + ")" * 3_000 + " }}"), "body:"),
        (mail("{{ customer.name }}" * 3_000), "more than 300"),
        (mail(" "), "empty"),
        (mail(subject=None), "needs a subject"),
        (mail(subject="a\r\nBcc: everybody@example.com"), "no line breaks"),
        (mail(subject="x" * 300), "at most"),
        (mail(html="{{ customer.nmae }}"), "html"),
        (text("Hello", subject="News"), "only an e-mail"),
        (text("x" * 2_000), "longer than"),
    ],
)
def test_what_is_refused_when_it_is_saved(content: Content, why: str) -> None:
    refusal = check_content(content)
    assert refusal is not None
    assert why in refusal.detail


def test_an_automation_has_the_facts_of_its_occasion_and_no_others() -> None:
    content = mail("{{ occasion.points }} points until {{ occasion.date }}")
    assert check_content(content, Trigger.POINTS_EXPIRING) is None
    assert check_content(content, Trigger.TIER_CHANGED) is not None


def named(name: str) -> dict[str, Any]:
    return {**SAMPLE, "customer": {"id": "c", "name": name}}


def test_names_are_escaped_in_html_and_nowhere_else() -> None:
    name = "<script>alert(1)</script> & Co"
    content = mail("Hi {{ customer.name }}", html="<b>{{ customer.name }}</b>")
    rendered = render(content, named(name))
    assert rendered.text == f"Hi {name}"
    assert rendered.html == "<b>&lt;script&gt;alert(1)&lt;/script&gt; &amp; Co</b>"


def test_a_name_cannot_add_a_header() -> None:
    rendered = render(mail(subject="Hi {{ customer.name }}"), named("Eve\r\nBcc: all@example.com"))
    assert rendered.subject == "Hi Eve Bcc: all@example.com"


def test_a_variable_that_is_missing_when_it_is_sent_is_trouble() -> None:
    with pytest.raises(TemplateTrouble, match="points"):
        render(mail("{{ occasion.points }}"), {**SAMPLE, "occasion": {}})
