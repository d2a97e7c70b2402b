"""The settings of all services as a Markdown table, read from the classes that define them."""

import ast
from pathlib import Path

REPOSITORY = Path(__file__).parent.parent
SOURCES = ("livecomments", "core", "fanout", "storage", "edge")
BEGIN, END = "<!-- settings -->", "<!-- /settings -->"


def settings(source: str) -> list[tuple[str, str, str]]:
    """Name, default and description of each setting of one service, in the order of its class."""
    rows = []
    for node in ast.walk(ast.parse((REPOSITORY / source / "settings.py").read_text())):
        if isinstance(node, ast.ClassDef) and node.name.endswith("Settings"):
            for field, note in zip(node.body, node.body[1:], strict=False):
                if isinstance(field, ast.AnnAssign) and isinstance(note, ast.Expr):
                    assert isinstance(field.target, ast.Name)
                    assert isinstance(note.value, ast.Constant)
                    text = " ".join(str(note.value.value).split()).replace("``", "`").replace("|", "\\|")
                    rows.append((field.target.id.upper(), default(field.value), text))
    return rows


def default(value: ast.expr | None) -> str:
    match value:
        case None | ast.Constant(value=None) | ast.Call(args=[]):
            return ""
        case ast.Call(args=[ast.Constant(value=only)]):
            return f"`{only}`"
        case ast.Tuple(elts=elements):
            return " ".join(f"`{ast.literal_eval(element)}`" for element in elements)
        case _:
            return f"`{eval(compile(ast.Expression(value), 'default', 'eval'), {'__builtins__': {}})}`"  # noqa: S307


def table() -> str:
    """The table, with a heading row for each service."""
    lines = ["| `LIVECOMMENTS_…` | default | meaning |", "| --- | --- | --- |"]
    for source in SOURCES:
        lines.append(f"| **{'all services' if source == 'livecomments' else source}** | | |")
        lines += [f"| `{name}` | {value} | {text} |" for name, value, text in settings(source)]
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())
