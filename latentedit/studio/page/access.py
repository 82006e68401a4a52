"""Who may use the server: hosts, origins and the token, checked on every route."""

from __future__ import annotations

import hmac
import ipaddress
import socket
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs, urlencode

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors {embedding}"
)
_HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}


@dataclass(frozen=True)
class Access:
    """What the server answers to.

    Args:
        port: that browsers use.
        token: that every request must carry; None if anyone who reaches the server may use it.
        hosts: names in addresses besides those of this machine's loopback.
        addresses: accept any numeric address too. No name can be pointed at another machine then.
        public: accept every host, and let other pages embed this one.
    """

    port: int
    token: str | None = None
    hosts: tuple[str, ...] = ()
    addresses: bool = False
    public: bool = False
    names: frozenset[str] = field(init=False, default=frozenset())

    def __post_init__(self) -> None:
        hosts = {*LOOPBACK, *self.hosts}
        if self.addresses:
            hosts.add(socket.gethostname().lower())
        ports = {f":{self.port}"} | ({""} if self.port in (80, 443) else set())
        known = frozenset(f"{host.lower()}{port}" for host in hosts for port in ports)
        object.__setattr__(self, "names", known)  # the dataclass is frozen

    def host_known(self, host: str) -> bool:
        """Whether the Host header names this server: a page elsewhere can point its own name here.

        >>> access = Access(port=7860)
        >>> access.host_known("localhost:7860"), access.host_known("example.org:7860")
        (True, False)
        """
        if self.public or host.lower() in self.names:
            return bool(host)
        name, _, port = host.rpartition(":")
        return self.addresses and port == str(self.port) and _numeric(name)

    def origin_known(self, origin: str | None, host: str) -> bool:
        """Whether a request comes from this server's own page, or from no page at all."""
        own = [f"{scheme}://{host}".lower() for scheme in ("http", "https")]
        return origin is None or origin.lower() in own

    def token_known(self, given: str) -> bool:
        """Whether `given` is the token."""
        return self.token is None or hmac.compare_digest(given.encode(), self.token.encode())

    @property
    def cookie(self) -> str:
        """Name of the cookie that keeps the token; cookies do not tell ports apart."""
        return f"studio-token-{self.port}"


class AccessCheck:
    """Middleware that answers 403 to everything that `Access` does not let in."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self.app, self.access = app, access
        embedding = "*" if access.public else "'none'"
        self.headers = {**_HEADERS, "content-security-policy": _POLICY.format(embedding=embedding)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        elif scope["type"] == "http":
            app = self._answer(scope) or self.app
            await app(scope, receive, self._with_headers(send))
        else:  # no route is a websocket
            await send({"type": "websocket.close", "code": 1008})

    def _answer(self, scope: Scope) -> ASGIApp | None:
        """A refusal, or the way from an address with a token to one without; else None."""
        headers = Headers(scope=scope)
        hosts = headers.getlist("host")
        host = hosts[0] if len(hosts) == 1 else ""
        if not self.access.host_known(host):
            return _refusal("this server is not known by that name")
        origins = headers.getlist("origin")
        if len(origins) > 1 or not self.access.origin_known(next(iter(origins), None), host):
            return _refusal("this request comes from another page")
        page = scope["path"] == "/" and scope["method"] == "GET"
        if headers.get("sec-fetch-site", "none") not in ("same-origin", "none") and not page:
            return _refusal("this request comes from another page")
        return self._token(scope, headers, page)

    def _token(self, scope: Scope, headers: Headers, page: bool) -> ASGIApp | None:
        if self.access.token is None:
            return None
        query = parse_qs(scope["query_string"].decode("latin-1"))
        asked = query.pop("token", [""])[0]
        if page and asked and self.access.token_known(asked):
            answer = RedirectResponse("/?" + urlencode(query, doseq=True) if query else "/", 303)
            answer.set_cookie(self.access.cookie, asked, httponly=True, samesite="strict")
            return answer
        bearer = headers.get("authorization", "").removeprefix("Bearer ")
        if any(self.access.token_known(given) for given in (bearer, self._kept(headers)) if given):
            return None
        return _refusal("open the address with the token that the terminal shows")

    def _kept(self, headers: Headers) -> str:
        try:
            kept = SimpleCookie(headers.get("cookie", "")).get(self.access.cookie)
        except CookieError:
            return ""
        return kept.value if kept else ""

    def _with_headers(self, send: Send) -> Send:
        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(self.headers)
            await send(message)

        return sending


def _refusal(why: str) -> ASGIApp:
    return JSONResponse({"error": why}, 403)


def _numeric(host: str) -> bool:
    try:
        ipaddress.ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return True
