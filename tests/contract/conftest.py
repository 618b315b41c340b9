"""What the tests of the contract share."""

import pytest

import api

# A minute's requests of one token are limited, and a run makes thousands.
TOKENS = 40


@pytest.fixture(scope="session")
def world(account, add_token):
    return api.World([add_token(account) for _ in range(TOKENS)])


@pytest.fixture(scope="session")
def seen():
    """The statuses that each operation has answered: `{(label, status)}`."""
    return set()


def pytest_report_header():
    return api.HEADER
