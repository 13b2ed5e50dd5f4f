"""The API documentation as a page: one HTML document, without scripts or outside assets."""

import base64
import json
from collections.abc import Iterator, Sequence
from hashlib import sha256
from html import escape
from typing import Any, Final

from gateway.examples import example
from gateway.page_style import STYLE
from gateway.routes import JSON

Json = dict[str, Any]

STYLE_HASH: Final = base64.b64encode(sha256(STYLE.encode()).digest()).decode()
CONTENT_SECURITY_POLICY: Final = (
    f"default-src 'none'; style-src 'sha256-{STYLE_HASH}'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)


def landing_page(title: str) -> str:
    """The page at `/`."""
    body = (
        f"<main><h1>{escape(title)}</h1><p>This is the API of a loyalty program.</p><ul>"
        '<li><a href="/docs">Documentation of the API</a></li>'
        '<li><a href="/v1/openapi.json">The same as an OpenAPI document</a></li>'
        '<li><a href="/health">Health</a></li></ul></main>'
    )
    return html_page(title, body)


def docs_page(document: Json) -> str:
    """Every operation of an OpenAPI document, readable."""
    info = document["info"]
    operations = list(_operations(document))
    sections = "".join(_section(document, *operation) for operation in operations)
    paragraphs = "".join(f"<p>{_text(part)}</p>" for part in info["description"].split("\n\n"))
    body = (
        '<a class="skip" href="#operations">To the operations</a>'
        f"<header><h1>{escape(info['title'])} API</h1>"
        f'<p class="quiet">Version {escape(info["version"])} · '
        f'<a href="/v1/openapi.json">OpenAPI document</a></p></header>'
        f'<nav aria-label="Operations">{_contents(document, operations)}</nav>'
        f'<main id="operations">{paragraphs}{sections}</main>'
    )
    return html_page(f"{info['title']} API", body)


def html_page(title: str, body: str) -> str:
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body>{body}</body></html>"
    )


def _operations(document: Json) -> Iterator[tuple[str, str, Json]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def _contents(document: Json, operations: list[tuple[str, str, Json]]) -> str:
    parts = []
    for tag in document["tags"]:
        links = "".join(
            f'<li><a href="#{operation["operationId"]}">{_badge(method)} {escape(path)}</a></li>'
            for method, path, operation in operations
            if tag["name"] in operation["tags"]
        )
        parts.append(f"<h2>{escape(tag['name'])}</h2><ul>{links}</ul>")
    return "".join(parts)


def _badge(method: str) -> str:
    return f'<span class="method {method.lower()}">{method}</span>'


def _section(document: Json, method: str, path: str, operation: Json) -> str:
    components = document["components"]["schemas"]
    anchor = operation["operationId"]
    body = operation.get("requestBody")
    return (
        f'<section id="{anchor}" aria-labelledby="{anchor}-title">'
        f'<h2 id="{anchor}-title">{_badge(method)} <code>{escape(path)}</code></h2>'
        f"<p>{_text(operation['summary'])}</p>{_access(operation)}"
        f"{_parameters(operation['parameters'])}"
        f"{_body(body, components) if body is not None else ''}"
        f"{_answers(operation['responses'], components)}"
        f"<h3>Example</h3><pre><code>{escape(curl(method, path, operation, components))}"
        "</code></pre></section>"
    )


def _access(operation: Json) -> str:
    if not operation["security"]:
        return '<p class="quiet">No access token needed.</p>'
    if "x-roles" not in operation:
        return '<p class="quiet">An access token is optional.</p>'
    return f'<p class="quiet">For {", ".join(operation["x-roles"])}.</p>'


def _parameters(parameters: list[Json]) -> str:
    if not parameters:
        return ""
    rows = [
        (_name(item["name"], required=item["required"]), item["in"], describe(item["schema"]))
        for item in parameters
    ]
    return "<h3>Parameters</h3>" + _table(("Name", "In", "Value"), rows)


def _body(body: Json, components: Json) -> str:
    if JSON not in body["content"]:
        return f"<h3>Body</h3><p>As {escape(' or '.join(body['content']))}.</p>"
    schema = body["content"][JSON]["schema"]
    return f"<h3>Body</h3>{_fields(schema, components)}"


def _fields(schema: Json, components: Json) -> str:
    """A table of an object's fields, and one more for each type it leads to."""
    parts = []
    for name in _reachable(schema, components):
        type_ = components[name]
        if "properties" not in type_:
            continue
        required = type_.get("required", ())
        rows = [
            (_name(field, required=field in required), describe(value))
            for field, value in type_["properties"].items()
        ]
        note = f"<p>{_text(type_['description'])}</p>" if "description" in type_ else ""
        parts.append(f"<h4>{escape(name)}</h4>{note}{_table(('Field', 'Value'), rows)}")
    return "".join(parts)


def _reachable(schema: Any, components: Json) -> dict[str, None]:
    """The names of the types a schema mentions, in the order in which they come up."""
    found: dict[str, None] = {}
    waiting = [schema]
    while waiting:
        node = waiting.pop(0)
        if isinstance(node, list):
            waiting += node
        elif isinstance(node, dict):
            name = str(node.get("$ref", "")).rpartition("/")[2]
            if name and name not in found:
                found[name] = None
                waiting.append(components[name])
            waiting += node.values()
    return found


def _answers(responses: Json, components: Json) -> str:
    rows = []
    for status, response in responses.items():
        media = next(iter(response["content"].items()))
        shape = describe(media[1].get("schema", {})) if media[1] else escape(media[0])
        rows.append((f"<code>{status}</code>", _text(response["description"]), shape))
    good = next((item for item in responses.values() if JSON in item["content"]), None)
    fields = ""
    if good is not None and good["content"][JSON]:
        inner = _fields(good["content"][JSON]["schema"], components)
        fields = f"<details><summary>Fields of the answer</summary>{inner}</details>"
    return "<h3>Answers</h3>" + _table(("Status", "Meaning", "Content"), rows) + fields


def _name(name: str, *, required: bool) -> str:
    mark = ' <span class="required">required</span>' if required else ""
    return f"<code>{escape(name)}</code>{mark}"


def describe(schema: Json) -> str:
    """A schema in a few words, as HTML."""
    if "$ref" in schema:
        return f"<code>{escape(schema['$ref'].rpartition('/')[2])}</code>"
    if "anyOf" in schema:
        return " or ".join(describe(option) for option in schema["anyOf"])
    if "enum" in schema:
        return " | ".join(f"<code>{escape(json.dumps(value))}</code>" for value in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {describe(schema.get('items', {}))}"
    return escape(", ".join(_facts(schema)))


def _facts(schema: Json) -> Iterator[str]:
    yield str(schema.get("format") or schema.get("type") or "any value")
    labels = {
        "minimum": "at least {}",
        "maximum": "at most {}",
        "minLength": "{} or more characters",
        "maxLength": "up to {} characters",
        "description": "{}",
        "default": "default {}",
    }
    for key, label in labels.items():
        if schema.get(key) is not None:
            yield label.format(schema[key])
    if "pattern" in schema and "description" not in schema:
        yield f"pattern {schema['pattern']}"


def _table(heads: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    head = "".join(f'<th scope="col">{escape(text)}</th>' for text in heads)
    lines = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return (
        '<div class="scroll" tabindex="0"><table>'
        f"<thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table></div>"
    )


def _text(text: str) -> str:
    """Plain text as HTML; what stands between backticks is code."""
    parts = escape(text).split("`")
    return "".join(
        f"<code>{part}</code>" if index % 2 else part for index, part in enumerate(parts)
    )


def curl(method: str, path: str, operation: Json, components: Json) -> str:
    """The operation as a command line."""
    for parameter in operation["parameters"]:
        if parameter["in"] == "path":
            value = example(parameter["schema"], components, parameter["name"])
            path = path.replace(f"{{{parameter['name']}}}", str(value))
    lines = [f'curl -X {method} "$LOYALNEST_URL{path}"']
    if operation["security"]:
        lines.append('-H "Authorization: Bearer $TOKEN"')
    if any(parameter["name"] == "Idempotency-Key" for parameter in operation["parameters"]):
        lines.append('-H "Idempotency-Key: $(uuidgen)"')
    body = operation.get("requestBody")
    if body is not None and JSON not in body["content"]:
        media = next(iter(body["content"]))
        lines += [f'-H "Content-Type: {media}"', "--data-binary @FILE"]
    elif body is not None:
        value = example(body["content"][JSON]["schema"], components)
        lines += [f'-H "Content-Type: {JSON}"', f"-d '{json.dumps(value)}'"]
    return " \\\n  ".join(lines)
