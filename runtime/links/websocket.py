"""Links over WebSockets: the transport port's adapter for real networks."""

from __future__ import annotations

import ssl

import attrs


@attrs.frozen
class WebSocketNetwork:
    """Connections over trio-websocket, to addresses `host:port` (IPv6 in brackets).

    With `server_tls` and `client_tls` they are encrypted; the contexts say which certificates
    count. Without, only loopback and networks that nobody listens in on should carry them: peers
    prove that they know the secret, but what they send can be read on the way.
    """

    server_tls: ssl.SSLContext | None = None
    client_tls: ssl.SSLContext | None = None
