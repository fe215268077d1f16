"""Errors, odd framings and broken connections."""

from openai_table import MODEL, chat, client, fault, messages, scenario, stream, transport


# Errors the provider words


@scenario
def error_key(site):
    return client(site, key="sk-invalid").chat.completions.create(model=MODEL, messages=messages("hi"))


@scenario
def error_model(site):
    return client(site).chat.completions.create(model="no-such-model", messages=messages("hi"))


@scenario
def error_parameter(site):
    return chat(site, "Too hot", temperature=9)


@scenario
def error_rate_limit(site):
    return chat(site, "Limited", headers=fault("rate-limited-ms"))


@scenario
def error_quota(site):
    return chat(site, "Broke", headers=fault("quota"))


@scenario
def error_server(site):
    return chat(site, "Failed", headers=fault("server-error"))


@scenario
def error_html(site):
    return chat(site, "Overloaded", headers=fault("unavailable-html"))


@scenario
def error_overloaded_stream(site):
    return stream(site, "Overloaded stream", headers=fault("status-529"))


@scenario
def error_retried(site):
    headers = fault("rate-limited-ms", **{"x-sim-fault-times": "2", "x-sim-fault-id": f"{site.run}-retried"})
    return chat(site, "Third time lucky", retries=2, headers=headers)


@scenario
def error_retries_exhausted(site):
    return chat(site, "Never lucky", retries=2, headers=fault("rate-limited-ms"))


@scenario
def error_in_stream(site):
    return stream(site, "Error in the middle", headers=fault("error-mid-stream"))


@scenario
def error_first_in_stream(site):
    return stream(site, "Error first", headers=fault("error-in-body"))


@scenario
def error_in_body(site):
    return chat(site, "Error in a 200", headers=fault("error-in-body"))


# Odd but legal framings


@scenario
def framing_crlf(site):
    return stream(site, "CRLF", headers=fault("crlf"))


@scenario
def framing_comments(site):
    return stream(site, "Comments", headers=fault("comments"))


@scenario
def framing_bytes(site):
    return stream(site, "Byte by byte سطر", headers=fault("byte-writes"))


@scenario
def framing_no_done(site):
    return stream(site, "No end mark", headers=fault("no-done"))


@scenario
def framing_gzip(site):
    return chat(site, "Packed", headers=fault("gzip"))


@scenario
def framing_trailers(site):
    return chat(site, "Trailers", headers=fault("trailers"))


@scenario
def framing_early_hints(site):
    return chat(site, "Hints", headers=fault("early-hints"))


@scenario
def framing_close(site):
    return stream(site, "Until the end", headers=fault("close-delimited"))


# The connection breaks


@transport
def broken_before_head(site):
    return chat(site, "Reset", headers=fault("reset-before-head"))


@transport
def broken_mid_stream(site):
    return stream(site, "Reset in the middle", headers=fault("reset-mid-stream"))


@transport
def broken_fin_mid_stream(site):
    return stream(site, "End in the middle", headers=fault("fin-mid-stream"))


@transport
def broken_json(site):
    return chat(site, "Half a body", headers=fault("fin-mid-stream"))


@transport
def broken_not_http(site):
    return chat(site, "No HTTP", headers=fault("not-http"))
