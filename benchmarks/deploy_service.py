"""The service that is deployed in `suite_deploy`: answers at once, /slow after 300 ms, and at SIGTERM dies without a word.

python -m benchmarks.deploy_service, with PORT and SPARKI_RELEASE in the environment.
"""

from __future__ import annotations

import asyncio
import os

import httptools

SLOW_S = 0.3


class Service(asyncio.Protocol):
    """A plain HTTP/1.1 service: parses requests as uvicorn does (httptools), and does nothing else."""

    def __init__(self, body: bytes) -> None:
        self.answer = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
        self.parser = httptools.HttpRequestParser(self)
        self.url, self.headers = b"", []

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.parser.feed_data(data)

    def on_message_begin(self):
        self.url, self.headers = b"", []

    def on_url(self, url):
        self.url += url

    def on_header(self, name, value):
        self.headers.append((name.lower(), value))

    def on_message_complete(self):
        path = httptools.parse_url(self.url).path
        if path == b"/slow":
            asyncio.get_running_loop().call_later(SLOW_S, self.transport.write, self.answer)
        else:
            self.transport.write(self.answer)


async def main() -> None:
    loop = asyncio.get_running_loop()
    body = os.environ["SPARKI_RELEASE"].encode()
    server = await loop.create_server(lambda: Service(body), "127.0.0.1", int(os.environ["PORT"]), backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
