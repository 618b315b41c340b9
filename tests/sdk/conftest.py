"""What the tests of Cloudflare's Python client share."""

import pytest
from cloudflare import Cloudflare, DefaultHttpxClient


@pytest.fixture(scope="session")
def client():
    """The client as a user has it: base URL and token from the environment, nothing else."""
    return Cloudflare()


@pytest.fixture
def live_input(client, account):
    """A live input, deleted after the test."""
    made = client.stream.live_inputs.create(account_id=account, meta={"name": "test"})
    yield made
    client.stream.live_inputs.delete(made.uid, account_id=account)


class Attempts:
    """A client that counts its requests: how often it tries shows whether it was told not to."""

    def __init__(self):
        self.statuses = []
        http_client = DefaultHttpxClient(event_hooks={"response": [self._count]})
        self.client = Cloudflare(http_client=http_client)

    def _count(self, response):
        self.statuses.append(response.status_code)


@pytest.fixture
def attempts():
    return Attempts()
