"""What the tests in Python share; `sdk/serve.mjs` starts the control plane and sets the environment."""

import json
import os
import urllib.request

import pytest


@pytest.fixture(scope="session")
def account():
    return os.environ["STREAM_CONNECT_ACCOUNT"]


@pytest.fixture(scope="session")
def other_account():
    return os.environ["STREAM_CONNECT_OTHER_ACCOUNT"]


@pytest.fixture(scope="session")
def sql():
    """Runs a statement on the control plane's database."""
    return lambda statement, *values: operator({"sql": statement, "values": values})


@pytest.fixture(scope="session")
def add_token():
    """Makes an API token of an account, with all permissions or those named."""
    return lambda account, **more: operator({"token": {"account": account, **more}})


def operator(question):
    url = os.environ["STREAM_CONNECT_OPERATOR"]
    with urllib.request.urlopen(url, json.dumps(question).encode()) as answer:
        return json.load(answer)
