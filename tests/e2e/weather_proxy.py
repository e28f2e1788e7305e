"""A proxy before a server, whose connections can be cut, refused, or kept open without an answer."""

import asyncio
import threading


class Proxy:
    """A port of 127.0.0.1 that forwards to another one. Its work is done by a thread."""

    def __init__(self, server):
        self.server = server
        self.pairs = set()
        self.refuses = self.stalls = False
        # After how many further bytes the connection that sends them is cut.
        self.bytes_left = None
        self.cuts = 0
        self.loop = asyncio.new_event_loop()
        started = threading.Event()
        threading.Thread(target=self.serve, args=[started], daemon=True).start()
        started.wait()

    def serve(self, started):
        asyncio.set_event_loop(self.loop)
        listening = self.loop.run_until_complete(asyncio.start_server(self.carry, "127.0.0.1", 0))
        self.port = listening.sockets[0].getsockname()[1]
        started.set()
        self.loop.run_forever()

    async def carry(self, from_client, to_client):
        if self.refuses:
            to_client.transport.abort()
            return
        try:
            from_server, to_server = await asyncio.open_connection("127.0.0.1", self.server)
        except OSError:
            to_client.transport.abort()
            return
        pair = (to_client.transport, to_server.transport)
        self.pairs.add(pair)
        try:
            await asyncio.gather(
                self.pass_on(from_client, to_server, pair), self.pass_on(from_server, to_client, pair)
            )
        finally:
            self.abort(pair)

    async def pass_on(self, source, target, pair):
        try:
            while data := await source.read(1 << 16):
                while self.stalls:
                    await asyncio.sleep(0.02)
                if self.bytes_left is not None:
                    self.bytes_left -= len(data)
                    if self.bytes_left <= 0:
                        # A part of it may still arrive.
                        target.write(data[: max(0, len(data) + self.bytes_left)])
                        self.bytes_left = None
                        self.cuts += 1
                        break
                target.write(data)
                await target.drain()
        except OSError:
            # One side is gone, and the other sees that.
            pass
        self.close(pair)

    def close(self, pair):
        for transport in pair:
            transport.close()

    def abort(self, pair):
        self.pairs.discard(pair)
        for transport in pair:
            transport.abort()

    def call(self, change):
        """Has the thread of the proxy do something."""
        self.loop.call_soon_threadsafe(change)

    def cut(self):
        """Cuts all connections."""

        def change():
            self.cuts += len(self.pairs)
            for pair in list(self.pairs):
                self.abort(pair)

        self.call(change)

    def cut_after(self, count):
        """Cuts a connection once so many bytes have passed."""
        self.call(lambda: setattr(self, "bytes_left", count))

    def refuse(self, refuses):
        self.call(lambda: setattr(self, "refuses", refuses))

    def stall(self, stalls):
        self.call(lambda: setattr(self, "stalls", stalls))

    def heal(self):
        def change():
            self.refuses = self.stalls = False
            self.bytes_left = None

        self.call(change)
