"""Calls over gRPC with messages by field number, and the health checks that kubelets make.

Health checks: https://github.com/grpc/grpc/blob/master/doc/health-checking.md; in grpc/health/v1/health.proto the field
1 of a request is the service's name, and that of an answer its `Serving`.
"""

from enum import IntEnum

from grpclib.client import Channel, UnaryUnaryMethod
from grpclib.const import Status
from grpclib.encoding.base import CodecBase
from grpclib.exceptions import GRPCError, ProtocolError, StreamTerminatedError

from canary.sandbox.protobuf import Message, decode, encode, number

HEALTH = "grpc.health.v1.Health"


class Serving(IntEnum):
    """What a health check answers."""

    UNKNOWN = 0
    SERVING = 1
    NOT_SERVING = 2
    SERVICE_UNKNOWN = 3


class Codec(CodecBase):
    """Messages by field number, for servers and clients."""

    __content_subtype__ = "proto"

    def encode(self, message: Message, message_type: type[object]) -> bytes:
        """A message's bytes."""
        return encode(message)

    def decode(self, data: bytes, message_type: type[object]) -> Message:
        """The message in some bytes."""
        return decode(data)


def connection(host: str, port: int) -> Channel:
    """A connection to a server, made at the first call; close it by leaving its context."""
    return Channel(host, port, codec=Codec())


async def call(channel: Channel, method: str, request: Message) -> Message:
    """Make one call. It takes as long as the server does.

    Args:
        channel: to the server.
        method: `/SERVICE/METHOD`.
        request: what is asked.

    Raises:
        OSError: nobody listens there.
        GRPCError: the server refuses, or fails.
        StreamTerminatedError: the connection ended before the answer.
        ProtocolError: the answer breaks the rules.
        WireError: the answer is no message.
    """
    async with UnaryUnaryMethod[Message, Message](channel, method, dict, dict).open() as stream:
        await stream.send_message(request, end=True)
        reply = await stream.recv_message()
    return {} if reply is None else reply


async def unhealthy(channel: Channel, service: str = "") -> str | None:
    """Make a health check: why the service is not healthy, or None.

    Raises:
        OSError: nobody listens there.
        WireError: the answer is no message.
    """
    try:
        reply = await call(channel, f"/{HEALTH}/Check", {1: service.encode()})
    except GRPCError as error:
        if error.status is Status.UNIMPLEMENTED:
            return f"the server has no {HEALTH}"
        return f"gRPC status {error.status.name}: {error.message or 'no message'}"
    except (StreamTerminatedError, ProtocolError) as error:
        return f"the answer is not gRPC: {error}"
    found = number(reply, 1)
    if found == Serving.SERVING:
        return None
    return f"the service is {Serving(found).name if found in list(Serving) else found}"
