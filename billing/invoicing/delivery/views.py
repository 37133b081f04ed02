"""`POST /mail/bounces`: mail that came back, told by a mail server or a service that sends mail."""

from django.http import HttpRequest, HttpResponse, JsonResponse

from billing.invoicing.delivery.bounces import NoBounce, read_bounce, read_json_bounce
from billing.invoicing.delivery.services import take_bounce
from billing.metering import access, bodies, keys
from billing.metering.api.edge import posted
from billing.metering.errors import Refusal
from config import clock

READERS = {"application/json": read_json_bounce, "message/rfc822": read_bounce, "multipart/report": read_bounce}
"""By content type: a short report, and a message as it arrived (RFC 3464)."""


@posted
def bounces(request: HttpRequest) -> HttpResponse:
    """Mark the message that came back. Needs an API key with the scope “bounces”; the same report twice is harmless.

    200 with invoice and addresses; 400 for what is no report, 404 where no such message was sent, and as every address
    of the API 401, 403, 405, 413, 415 and 503.
    """
    access.authenticate(request.headers.get("Authorization", ""), keys.BOUNCES, clock.now())
    read = READERS.get(request.content_type or "")
    if read is None:
        raise Refusal(415, "unsupported_type", f"Send the report as {' or '.join(READERS)}.")
    content = bodies.whole(request)
    try:
        bounce = read(content)
    except NoBounce as error:
        raise Refusal(400, "no_bounce", str(error)) from error
    try:
        delivery = take_bounce(bounce=bounce)
    except NoBounce as error:
        raise Refusal(404, "unknown_message", str(error)) from error
    return JsonResponse({"invoice": delivery.invoice.number, "state": delivery.state, "addresses": [*bounce.reasons]})
