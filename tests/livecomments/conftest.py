"""Fixtures for the tests of what everyone shares."""

import pytest

from livecomments.client import AsyncLiveComments
from tests.livecomments.threaded import ThreadedLiveComments

Client = type[AsyncLiveComments | ThreadedLiveComments]


@pytest.fixture(params=[AsyncLiveComments, ThreadedLiveComments], ids=["asyncio", "blocking"])
def client(request: pytest.FixtureRequest) -> Client:
    """Both clients, one after the other."""
    made: Client = request.param
    return made
