"""The example of docs/spec/schema.md, which uses every part of the language, as the starting point of the tests."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from caseschemas import CaseSchema, parse_schema

SPEC = Path(__file__).parents[2] / "docs" / "spec" / "schema.md"


@pytest.fixture(scope="session")
def spec() -> str:
    """The text of the specification."""
    return SPEC.read_text("utf-8")


@pytest.fixture(scope="session")
def example_text(spec: str) -> str:
    """The example as it stands in the specification."""
    match = re.search(r"```json\n(.*?)```", spec, re.DOTALL)
    assert match is not None
    return match[1]


@pytest.fixture
def example(example_text: str) -> dict[str, Any]:
    """The example as JSON; a fresh copy for every test."""
    document: dict[str, Any] = json.loads(example_text)
    return document


@pytest.fixture(scope="session")
def example_document(example_text: str) -> dict[str, Any]:
    """The example as JSON, for tests that only read it."""
    document: dict[str, Any] = json.loads(example_text)
    return document


@pytest.fixture(scope="session")
def example_schema(example_text: str) -> CaseSchema:
    """The example as a model."""
    return parse_schema(example_text)
