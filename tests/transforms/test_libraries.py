"""What Python files and notebooks import."""

import json

from transforms.libraries import libraries

NOTEBOOK = {
    "nbformat": 4,
    "cells": [
        {"cell_type": "markdown", "source": ["import nothing\n"]},
        {"cell_type": "code", "source": ["%matplotlib inline\n", "import torch\n", "from transformers import pipeline\n"]},
        {"cell_type": "code", "source": "!pip install x\nimport numpy as np, pandas as pd"},
    ],
}  # fmt: skip


def test_of_python_the_top_level_names_are_found_and_the_standard_library_is_not() -> None:
    text = b"""
import os, json, sklearn.svm as svm
from __future__ import annotations
from torch.nn import (
    Linear,
)
from . import sibling
from google.cloud import storage
if True:
    import boto3
important = "import tensorflow"  # import keras
"""
    assert libraries("a.py", text) == ("boto3", "google.cloud", "sklearn", "torch")


def test_of_a_notebook_the_code_cells_are_read() -> None:
    assert libraries("a.ipynb", json.dumps(NOTEBOOK).encode()) == ("numpy", "pandas", "torch", "transformers")
    old = {"nbformat": 3, "worksheets": [{"cells": [{"cell_type": "code", "input": ["import keras"]}]}]}
    assert libraries("a.ipynb", json.dumps(old).encode()) == ("keras",)


def test_what_cannot_be_read_imports_nothing() -> None:
    for content in (b"", b"<<<<<<< HEAD\n{}", b"[]", b'{"cells": 1}', b'{"cells": [1]}', b"\xff\xfe"):
        assert libraries("a.ipynb", content) == ()
    assert libraries("a.py", b"\xff\xfeimport x") == ()
