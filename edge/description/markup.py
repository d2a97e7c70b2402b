"""The little Markdown that descriptions are written in, as HTML: paragraphs, lists, code, links. Pure."""

import re
from html import escape

_CODE = re.compile(r"`([^`]+)`")
_LINK = re.compile(r"\[([^\]]+)\]\(([^)\s]+)\)")


def block(text: str) -> str:
    """Paragraphs and lists, with an empty line between them."""
    parts = []
    for paragraph in re.split(r"\n{2,}", text.strip()):
        if paragraph.startswith("- "):
            items = re.split(r"\n- ", paragraph.removeprefix("- "))
            parts.append("<ul>" + "".join(f"<li>{inline(item)}</li>" for item in items) + "</ul>")
        else:
            parts.append(f"<p>{inline(paragraph)}</p>")
    return "\n".join(parts)


def inline(text: str) -> str:
    """Text within a paragraph: code and links."""
    pieces = _CODE.split(text)
    return "".join(f"<code>{escape(piece)}</code>" if odd % 2 else _links(piece) for odd, piece in enumerate(pieces))


def _links(text: str) -> str:
    return _LINK.sub(r'<a href="\2">\1</a>', escape(text))
