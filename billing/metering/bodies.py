"""The body of a request, read as a stream and unpacked within limits, so that no sender can fill the memory."""

import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, Protocol

from django.conf import settings

from billing.metering.errors import Refusal, UnreadableBody

PIECE: Final = 65_536
"""Bytes that are read, and unpacked, at a time."""

RATIO: Final = 200
"""How many times its packed size a body may have; lists of events have 10 to 60, gzip can make 1,032."""

RATIO_FROM: Final = 1_000_000
"""Bytes up to which the ratio does not matter, since they harm nobody."""


class Request(Protocol):
    """What is read of a request: Django's own has it, and so has the one of the front."""

    META: dict[str, Any]

    @property
    def method(self) -> str | None: ...

    @property
    def headers(self) -> Mapping[str, str]: ...

    @property
    def content_type(self) -> str | None: ...

    @property
    def content_params(self) -> dict[str, str] | None: ...

    @property
    def read(self) -> Callable[[int], bytes]: ...


def whole(request: Request) -> bytes:
    """The body in one piece, unpacked; Refusal (413) when it has more than `settings.USAGE_BODY_LIMIT_BYTES`."""
    limit = settings.USAGE_BODY_LIMIT_BYTES
    body = bytearray()
    for piece in pieces(request, limit):
        body += piece
        if len(body) > limit:
            raise _too_large(limit)
    return bytes(body)


def pieces(request: Request, limit: int | None = None) -> Iterator[bytes]:
    """The body as it comes, unpacked; with a limit, of its bytes as sent.

    Refusal for another encoding than gzip, a gzip bomb, and a body beyond the limit; UnreadableBody when it is no gzip
    or ends too early.
    """
    encoding = request.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in ("identity", "gzip"):
        raise Refusal(415, "unsupported_encoding", f"The body is encoded as {encoding}; send it plain or as gzip.")
    sent = _sent(request, limit)
    return sent if encoding == "identity" else unpacked(sent)


def unpacked(packed: Iterable[bytes]) -> Iterator[bytes]:
    """What gzip bytes hold, piece by piece; files of gzip put together are one, as gzip itself has it.

    Refusal (413) for a bomb; UnreadableBody for what is no gzip, or only a part of one.
    """
    unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    taken = made = 0
    for piece in packed:
        taken += len(piece)
        rest, more = piece, False
        while rest or more:
            if unpacker.eof:
                unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
            try:
                out = unpacker.decompress(rest, PIECE)
            except zlib.error:
                raise UnreadableBody(
                    "invalid_gzip", "The body is said to be gzip but is not; check how it was made."
                ) from None
            made += len(out)
            if made > max(RATIO_FROM, taken * RATIO):
                detail = f"The body is more than {RATIO} times as large as its gzip; send it plain, in smaller parts."
                raise Refusal(413, "gzip_bomb", detail)
            if out:
                yield out
            rest = unpacker.unused_data if unpacker.eof else unpacker.unconsumed_tail
            more = len(out) == PIECE and not unpacker.eof  # more may be made of what was taken in already
    if not unpacker.eof:
        raise UnreadableBody("invalid_gzip", "The gzip body ends too early; send it whole.")


def pass_over(request: Request) -> None:
    """Read what is left of the body, up to the limit of a whole one, and forget it.

    Many senders look for an answer only when all is sent, and would find the connection broken instead.
    """
    try:
        read, _ = _reader(request)
        for _ in range(0, settings.USAGE_BODY_LIMIT_BYTES, PIECE):
            if not _read(read):
                return
    except (Refusal, UnreadableBody):
        return  # nothing is left that could be read


def _sent(request: Request, limit: int | None) -> Iterator[bytes]:
    """The bytes as they were sent, also in chunks where the server gives them; UnreadableBody when some are missing."""
    read, announced = _reader(request)
    taken = 0
    while piece := _read(read):
        taken += len(piece)
        if limit is not None and taken > limit:
            raise _too_large(limit)
        yield piece
    if announced is not None and taken < announced:
        raise _incomplete()


def _reader(request: Request) -> tuple[Callable[[int], bytes], int | None]:
    """What reads the body, and its length where it is announced; Refusal (411) where its end would not be known."""
    length = request.META.get("CONTENT_LENGTH") or ""
    if length.isdecimal():
        return request.read, int(length)
    if request.META.get("wsgi.input_terminated"):
        return request.META["wsgi.input"].read, None  # Django's own stream is empty without a length
    if "HTTP_TRANSFER_ENCODING" in request.META:
        raise Refusal(411, "length_required", "Send the body with a Content-Length, not in chunks.")
    return request.read, None


def _read(read: Callable[[int], bytes]) -> bytes:
    """The next bytes, empty at the end; UnreadableBody when the connection broke."""
    try:
        return read(PIECE)
    except OSError:
        raise _incomplete() from None


def _incomplete() -> UnreadableBody:
    """The error of a body that did not come whole."""
    return UnreadableBody("incomplete_body", "The body ended before its announced length; send the same request again.")


def _too_large(limit: int) -> Refusal:
    """The answer to a body beyond the limit."""
    return Refusal(413, "body_too_large", f"The body has more than {limit:,} bytes; send fewer events at a time.")
