"""What tells of an attack, one line an event, in a form that programs may rely on (fail2ban).

    EVENT: address=ADDRESS[ FIELD=VALUE]...

EVENT is a constant of the code. ADDRESS is an IPv4 or IPv6 address, or `unknown`. A VALUE is a
number, or a string as JSON has it, in ASCII: quotes and control characters are escaped, so what
somebody has sent can neither end the line nor look like a field. The logger is `postlog.security`,
the level WARNING. docs/operations.md ("What the security log says") lists the events.
"""

import json
import logging

from django.http import HttpRequest

from web.addresses import address_of

MAX_LENGTH = 150  # characters of a value: as long as a username may be

log = logging.getLogger("postlog.security")


def record(event: str, request: HttpRequest, **fields: str | int) -> None:
    """Write the line. `event` names what happened, such as "sign-in refused"."""
    log.warning(
        "%s", " ".join([f"{event}: address={address_of(request)}", *map(_field, fields.items())])
    )


def _field(field: tuple[str, str | int]) -> str:
    name, value = field
    return f"{name}={json.dumps(value[:MAX_LENGTH]) if isinstance(value, str) else value}"
