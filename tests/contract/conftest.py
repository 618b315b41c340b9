"""What the tests of the contract share."""

import pytest

import api

# A minute's requests of one token are limited, and a run makes thousands.
TOKENS = 40


@pytest.fixture(scope="session")
def world(account, add_token, sql):
    tokens = [add_token(account) for _ in range(TOKENS)]
    add_token(account)
    [row] = sql("SELECT tag FROM tokens ORDER BY rowid DESC LIMIT 1")
    return api.World(tokens, row["tag"], sql)


@pytest.fixture(scope="session")
def seen():
    """The statuses that each operation has answered: `{(label, status)}`."""
    return set()


def pytest_report_header():
    return api.HEADER
