"""Makes what an SDK returns comparable between two calls: ids and times are masked, all else stays."""

import re

# Ids of the simulated provider: a prefix and 24 hexadecimal characters. Each becomes a number in order of
# appearance, so that two places that share an id still do.
IDENTIFIER = re.compile(r"\b([a-z]+[-_]?)[0-9a-f]{24}\b")
REQUEST_ID = re.compile(r"^req_[0-9a-f]+$")
TIMES = {"created", "created_at", "completed_at"}
# Random padding, and what the SDKs add about the transport.
DROPPED = {"obfuscation", "_request_id", "sdk_http_response", "sdkHttpResponse", "parsed"}


def plain(value):
    """JSON of anything an SDK returns, masked."""
    return Mask().value(value)


def failure(error):
    """An exception as an application sees it: its class, and what the API said."""
    seen = {"class": type(error).__name__, "bases": [base.__name__ for base in type(error).__mro__[1:-1]]}
    for name in ("status_code", "code", "type", "param", "body", "status", "details"):
        if hasattr(error, name):
            seen[name] = getattr(error, name)
    seen["message"] = str(getattr(error, "message", None) or error)
    partial = getattr(error, "partial", None)
    if partial is not None:
        seen["partial"] = partial
    return plain(seen)


class Mask:
    def __init__(self):
        self.seen = {}

    def value(self, value, name=None):
        if name in TIMES and isinstance(value, (int, float)):
            return "<time>" if value > 1_700_000_000 else value
        if value is None or isinstance(value, (bool, int, float)):
            return value
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {str(key): self.value(item, key) for key, item in value.items() if key not in DROPPED}
        if isinstance(value, (list, tuple)):
            return [self.value(item) for item in value]
        if hasattr(value, "model_dump"):
            # Unset members stay out: what was not on the wire must not seem to be.
            return self.value(value.model_dump(mode="json", exclude_unset=True, by_alias=True, warnings=False))
        return repr(value)

    def text(self, text):
        if REQUEST_ID.match(text):
            return "<request id>"
        return IDENTIFIER.sub(self.number, text)

    def number(self, match):
        number = self.seen.setdefault(match.group(0), len(self.seen) + 1)
        return f"<{match.group(1)}{number}>"
