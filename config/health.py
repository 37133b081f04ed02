"""The health check, for load balancers and the demo: does this process reach its database?"""

from django.core.exceptions import ImproperlyConfigured
from django.db import InterfaceError, OperationalError, connection
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe


@require_safe
@never_cache
def healthz(request: HttpRequest) -> JsonResponse:
    """200 with the server's version, asked for anew each time, or 503 when the database cannot be reached."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SHOW server_version")
            (version,) = cursor.fetchone()
    except (OperationalError, InterfaceError, ImproperlyConfigured):  # the last: the embedded server does not start
        return JsonResponse({"status": "database unavailable"}, status=503)
    return JsonResponse({"status": "ok", "database": version})
