"""What addresses share that are read or posted to: the method, an API key, and problems as RFC 9457 has them."""

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponseBase, QueryDict
from django.views.decorators.csrf import csrf_exempt

from billing.metering import access, keys
from billing.metering.access import KnownKey
from billing.metering.answers import problem
from billing.metering.errors import Refusal, UnreadableBody
from billing.metering.views import RETRY_AFTER
from config import clock


def reader(request: HttpRequest, scope: str = keys.READ) -> KnownKey:
    """The key of the request, which may read; Refusal without one."""
    return access.authenticate(request.headers.get("Authorization", ""), scope, clock.now())


def asked(given: QueryDict, known: Sequence[str], *, needed: Sequence[str] = (), many: Sequence[str] = ()) -> None:
    """Refuse (400) parameters that are unknown, missing, given twice but for `many`, or that no database takes."""
    for name, values in given.lists():
        if name not in known:
            can = f"known are {', '.join(known)}" if known else "none are known here"
            raise Refusal(400, "unknown_parameter", f"There is no parameter {name!r}; {can}.")
        if len(values) > 1 and name not in many:
            raise Refusal(
                400, "repeated_parameter", f"The parameter {name} is given {len(values)} times; give it once."
            )
        if any("\0" in value for value in values):
            raise Refusal(400, "nul_character", f"The parameter {name} holds a NUL character, which no name has.")
    for name in needed:
        if not given.get(name):
            raise Refusal(400, f"missing_{name}", f"The parameter {name} is missing.")


def reading(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """The view for requests by GET, which may raise Refusal; 405 and 503 are answered for it."""
    return _answering(view, ("GET", "HEAD"), "This address is read by GET.")


def posted(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """The view for requests by POST, which may raise Refusal and UnreadableBody; 405 and 503 are answered for it."""
    # No cookie counts here: the key in the header is the whole authority.
    return csrf_exempt(_answering(view, ("POST",), "This is sent by POST."))


def _answering(
    view: Callable[..., HttpResponseBase], methods: Sequence[str], only: str
) -> Callable[..., HttpResponseBase]:
    """The view, with failures answered as problems; `only` says which method it takes."""

    @wraps(view)
    def answer(request: HttpRequest, **given: Any) -> HttpResponseBase:
        try:
            if request.method not in methods:
                raise Refusal(405, "method_not_allowed", only, Allow=", ".join(methods))
            return view(request, **given)
        except Refusal as refusal:
            response = problem(refusal.status, refusal.code, refusal.detail)
            for name, value in refusal.headers.items():
                response[name] = value
            return response
        except UnreadableBody as error:
            return problem(400, error.code, str(error))
        except (OperationalError, InterfaceError):
            response = problem(503, "unavailable", "The database is away; ask again in a few seconds.")
            response["Retry-After"] = RETRY_AFTER
            return response

    return answer
