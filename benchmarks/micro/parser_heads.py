"""The heads that parser_vs_llhttp.py parses: what load generators, programs, browsers and origins send."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Head:
    """A name for the report and the bytes, empty line included. A reply's begin with HTTP/."""

    name: str
    data: bytes


def head(name: str, *lines: str) -> Head:
    return Head(name, "".join(f"{line}\r\n" for line in (*lines, "")).encode("latin-1"))


CHROME = (
    "Host: www.example.com",
    "Connection: keep-alive",
    'sec-ch-ua: "Chromium";v="126", "Google Chrome";v="126", "Not-A.Brand";v="8"',
    "sec-ch-ua-mobile: ?0",
    'sec-ch-ua-platform: "Linux"',
    "Upgrade-Insecure-Requests: 1",
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8",
    "Sec-Fetch-Site: none",
    "Sec-Fetch-Mode: navigate",
    "Sec-Fetch-User: ?1",
    "Sec-Fetch-Dest: document",
    "Accept-Encoding: gzip, deflate, br, zstd",
    "Accept-Language: en-US,en;q=0.9",
)
COOKIE = "; ".join(f"{name}={value * 8}" for name, value in {
    "_ga": "GA1.2.1029384756", "session": "0a1b2c3d4e5f6789", "csrf": "f0e1d2c3b4a59687", "prefs": "theme:dark|lang:en",
}.items())  # fmt: skip

HEADS = [
    head("wrk", "GET / HTTP/1.1", "Host: 127.0.0.1:8080"),
    head("curl", "GET /index.html HTTP/1.1", "Host: 127.0.0.1:8080", "User-Agent: curl/7.88.1", "Accept: */*"),
    head(
        "API client",
        "GET /v1/users/8412/orders?limit=50&after=01HZX3 HTTP/1.1",
        "Host: api.example.com",
        "User-Agent: python-httpx/0.27.0",
        "Accept: application/json",
        "Accept-Encoding: gzip, deflate, br",
        "Connection: keep-alive",
        "Authorization: Bearer eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiI4NDEyIn0.q3Xn5mYc0Q7l2pVh9Jb1rT4wZs8uKd6aFgEoLiNxMyPvB",
        "X-Request-Id: 5f2b1c9e-7d3a-4a67-9c1e-0b8f4d2a6e35",
        "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    ),
    head(
        "browser, 500 bytes",
        "GET /search?q=gateway&hl=en HTTP/1.1",
        "Host: www.example.com",
        "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0",
        "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
        "Accept-Language: en-US,en;q=0.5",
        "Accept-Encoding: gzip, deflate, br, zstd",
        "Connection: keep-alive",
        "Upgrade-Insecure-Requests: 1",
        "Sec-Fetch-Dest: document",
        "Sec-Fetch-Mode: navigate",
        "Sec-Fetch-Site: none",
        "Cookie: sid=0123456789abcdef",
    ),
    head("browser, many fields", "GET /search?q=gateway&hl=en HTTP/1.1", *CHROME),
    head("browser, long cookie", "GET / HTTP/1.1", *CHROME, f"Cookie: {COOKIE}"),
    head(
        "small reply",
        "HTTP/1.1 200 OK",
        "Server: nginx/1.22.1",
        "Date: Mon, 01 Jan 2024 00:00:00 GMT",
        "Content-Type: text/plain",
        "Content-Length: 13",
        "Connection: keep-alive",
    ),
    head(
        "reply of a site",
        "HTTP/1.1 200 OK",
        "Date: Mon, 01 Jan 2024 00:00:00 GMT",
        "Content-Type: text/html; charset=utf-8",
        "Content-Length: 48213",
        "Cache-Control: max-age=0, private, must-revalidate",
        'ETag: W/"a9f0e61a137d86aa9db53465e0801612"',
        "Strict-Transport-Security: max-age=31536000; includeSubDomains; preload",
        "X-Frame-Options: deny",
        "X-Content-Type-Options: nosniff",
        "Referrer-Policy: origin-when-cross-origin, strict-origin-when-cross-origin",
        "Content-Security-Policy: default-src 'none'; base-uri 'self'; img-src 'self' data:; script-src 'self'",
        "Vary: Accept-Encoding, Accept",
        "Set-Cookie: session=0a1b2c3d4e5f6789; path=/; secure; HttpOnly; SameSite=Lax",
    ),
]
