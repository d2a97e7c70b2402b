"""The edge runs on trio."""

import pytest


@pytest.fixture
def anyio_backend() -> str:
    """In place of asyncio, which the other rooms run on."""
    return "trio"
