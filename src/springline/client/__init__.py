"""The Python client of Springline's HTTP API; the commands use it too.

    async with SpringlineClient("http://127.0.0.1:7376", token) as springline:
        async with springline.consume(consumer_id, batch_size=100) as messages:
            async for message in messages:
                ...   # acknowledged once this body has ended

It knows HTTP and nothing of the inside. Imports nothing of Springline outside this package.
"""

from springline.client.consuming import Messages
from springline.client.errors import ApiError, ClientError, NotSpringline, Unreachable
from springline.client.springline import SpringlineClient

__all__ = ["ApiError", "ClientError", "Messages", "NotSpringline", "SpringlineClient", "Unreachable"]
