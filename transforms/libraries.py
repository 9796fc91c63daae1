"""Which libraries Python files and Jupyter notebooks import: by their import statements, nothing is run."""

import re
import sys
from collections.abc import Iterator

import orjson

_IMPORT = re.compile(r"^[ \t]*(?:import[ \t]+([\w., \t]+)|from[ \t]+([\w.]+)[ \t]+import\b)", re.MULTILINE)
_NAMESPACES = {"google"}  # where the second name is the library
_MOST = 50


def libraries(path: str, content: bytes) -> tuple[str, ...]:
    """Top-level names that a file imports, less the standard library; none where it cannot be read.

    Code in a notebook is that of its code cells (nbformat 4, and the worksheets of nbformat 3).
    """
    text = content.decode(errors="replace")
    if path.endswith(".ipynb"):
        text = "\n".join(_cells(text))
    found = {name for match in _IMPORT.finditer(text) for name in _names(match)}
    return tuple(sorted(found - sys.stdlib_module_names - {"__future__", ""})[:_MOST])


def _names(match: re.Match[str]) -> Iterator[str]:
    plain, source = match.groups()
    for one in (plain or source).split(","):
        words = one.split()  # "numpy as np"
        parts = words[0].split(".") if words else [""]
        yield ".".join(parts[:2]) if parts[0] in _NAMESPACES else parts[0]


def _cells(text: str) -> Iterator[str]:
    try:
        notebook = orjson.loads(text)
        cells = [
            *notebook.get("cells", ()),
            *(cell for sheet in notebook.get("worksheets", ()) for cell in sheet["cells"]),
        ]
        for cell in cells:
            if cell.get("cell_type") == "code":
                source = cell.get("source", cell.get("input", ""))
                yield source if isinstance(source, str) else "".join(source)
    except (orjson.JSONDecodeError, AttributeError, KeyError, TypeError):
        return  # a notebook with a merge conflict in it, say
