"""The pages behind the link in a message: one with a button, and one that says that it is done."""

from typing import Final

_PAGE: Final = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta name="robots" content="noindex"><title>{title}</title></head>
<body><main><h1>{title}</h1>{body}</main></body>
</html>
"""

ASKING: Final = _PAGE.format(
    title="Unsubscribe",
    body='<form method="post"><p>You will get no more messages of this kind from this shop.</p>'
    '<button name="List-Unsubscribe" value="One-Click">Unsubscribe</button></form>',
).encode()
"""Its form goes to the page's own address, which has the token in it."""

DONE: Final = _PAGE.format(
    title="Unsubscribed", body="<p>You will get no more messages of this kind from this shop.</p>"
).encode()
