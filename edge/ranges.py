"""Which part of a file a request wants (RFC 9110, 14).

Quart knows neither ``bytes=-500`` nor a range that ends behind the file.
"""

from quart import Request, Response


async def serve_part(request: Request, response: Response, size: int) -> None:
    """Makes ``response``, a whole file of ``size`` bytes, the part that was asked for: 206, or 416 when there is none.

    Left whole: when nothing was asked for, several parts were, or a part of another version (``If-Range``).
    """
    wanted = request.range
    if wanted is None or wanted.units != "bytes" or len(wanted.ranges) != 1 or not _is_this_version(request, response):
        return
    part = wanted.range_for_length(size)
    if part is None:
        response.status_code = 416
        response.set_data(b"")
        response.headers["Content-Range"] = f"bytes */{size}"
        return
    begin, end = part
    await response.response.make_conditional(begin, end)  # type: ignore[attr-defined]
    response.status_code = 206
    response.content_length = end - begin
    response.headers["Content-Range"] = f"bytes {begin}-{end - 1}/{size}"


def _is_this_version(request: Request, response: Response) -> bool:
    condition = request.if_range
    if condition.date is not None:
        return condition.date == response.last_modified
    return condition.etag is None or condition.etag == response.get_etag()[0]
