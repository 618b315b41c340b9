"""What the tests of Cloudflare's Python client share; `serve.mjs` sets the environment."""

import hashlib
import json
import os
import secrets
import urllib.request
import uuid

import pytest
from cloudflare import Cloudflare, DefaultHttpxClient


@pytest.fixture(scope="session")
def client():
    """The client as a user has it: base URL and token from the environment, nothing else."""
    return Cloudflare()


@pytest.fixture(scope="session")
def account():
    return os.environ["STREAM_CONNECT_ACCOUNT"]


@pytest.fixture(scope="session")
def other_account():
    return os.environ["STREAM_CONNECT_OTHER_ACCOUNT"]


@pytest.fixture(scope="session")
def sql():
    """Runs a statement on the control plane's database."""

    def run(statement, *values):
        body = json.dumps({"sql": statement, "values": values}).encode()
        with urllib.request.urlopen(os.environ["STREAM_CONNECT_DATABASE"], body) as answer:
            return json.load(answer)

    return run


@pytest.fixture
def live_input(client, account):
    """A live input, deleted after the test."""
    made = client.stream.live_inputs.create(account_id=account, meta={"name": "test"})
    yield made
    client.stream.live_inputs.delete(made.uid, account_id=account)


@pytest.fixture
def add_token(sql):
    """Makes an API token of an account, as an operator would."""

    def add(account):
        token = "sct_" + secrets.token_hex(32)
        digest = hashlib.sha256(token.encode()).hexdigest()
        sql(
            "INSERT INTO tokens (id, hash, account_id, kind, name, created)"
            " VALUES (?, ?, ?, 'api', 'test', 0)",
            uuid.uuid4().hex,
            digest,
            account,
        )
        return token

    return add


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
