"""Each class of errors that Cloudflare's Python client knows, and how often it tries."""

import contextlib
from concurrent.futures import ThreadPoolExecutor

import cloudflare
import pytest
from cloudflare import Cloudflare

NOBODY = "0" * 32


def test_bad_request(client, account, live_input):
    with pytest.raises(cloudflare.BadRequestError) as caught:
        client.stream.live_inputs.outputs.create(
            live_input.uid, account_id=account, url="srt://example.com:9000", stream_key="k"
        )
    assert codes(caught) == [10005]
    assert caught.value.body["errors"][0]["source"] == {"pointer": "/url"}
    with pytest.raises(cloudflare.BadRequestError) as caught:
        Cloudflare(api_token="short").stream.live_inputs.get(live_input.uid, account_id=account)
    assert codes(caught) == [6003]


def test_permission_denied(client, account, other_account, add_token, live_input):
    with pytest.raises(cloudflare.PermissionDeniedError) as caught:
        Cloudflare(api_token="x" * 40).stream.live_inputs.get(live_input.uid, account_id=account)
    assert codes(caught) == [9109]
    stranger = Cloudflare(api_token=add_token(other_account))
    with pytest.raises(cloudflare.PermissionDeniedError) as caught:
        stranger.stream.live_inputs.get(live_input.uid, account_id=account)
    assert codes(caught) == [10000]


def test_not_found(client, account, live_input):
    inputs = client.stream.live_inputs
    for call in [
        lambda: inputs.get(NOBODY, account_id=account),
        lambda: inputs.update(NOBODY, account_id=account, enabled=False),
        lambda: inputs.delete(NOBODY, account_id=account),
        lambda: inputs.outputs.list(NOBODY, account_id=account),
        lambda: inputs.outputs.create(
            NOBODY, account_id=account, url="rtmp://a.example/b", stream_key="k"
        ),
        lambda: inputs.outputs.update(
            NOBODY, account_id=account, live_input_identifier=live_input.uid, enabled=True
        ),
        lambda: inputs.outputs.delete(
            NOBODY, account_id=account, live_input_identifier=live_input.uid
        ),
    ]:
        with pytest.raises(cloudflare.NotFoundError) as caught:
            call()
        assert codes(caught) == [10003]
    with pytest.raises(cloudflare.NotFoundError) as caught:
        client.stream.keys.get(account_id=account)
    assert codes(caught) == [7003]


def test_conflict(attempts, account):
    """Clients repeat a conflict unless they are told not to."""
    inputs = attempts.client.stream.live_inputs
    made = inputs.create(account_id=account, idempotency_key="made and deleted")
    inputs.delete(made.uid, account_id=account)
    attempts.statuses.clear()
    with pytest.raises(cloudflare.ConflictError) as caught:
        inputs.create(account_id=account, idempotency_key="made and deleted")
    assert caught.value.response.headers["x-should-retry"] == "false"
    assert attempts.statuses == [409]


def test_rate_limit(account, add_token):
    impatient = Cloudflare(api_token=add_token(account), max_retries=0)

    def ask(_):
        impatient.user.tokens.verify()

    # Beside each other, so that a slow machine gets there within the minute; more than two minutes'.
    with ThreadPoolExecutor(8) as pool, pytest.raises(cloudflare.RateLimitError) as caught:
        list(pool.map(ask, range(1024)))
    assert codes(caught) == [10429]
    # What the client waits for before it tries again.
    assert 1 <= int(caught.value.response.headers["retry-after"]) <= 60


def test_a_failure_of_ours_is_not_repeated(attempts, account, sql):
    """A statement that fails in the database: the answer says not to repeat, or to try again."""
    with broken(sql, "live_inputs"), pytest.raises(cloudflare.InternalServerError) as caught:
        attempts.client.stream.live_inputs.create(account_id=account)
    answer = caught.value.response
    if answer.headers.get("x-should-retry") == "false":
        assert attempts.statuses == [answer.status_code]
    else:
        assert answer.headers["retry-after"] == "1"
        assert attempts.statuses == [503, 503, 503]


@contextlib.contextmanager
def broken(sql, table):
    """Every insertion into the table fails for as long as this lasts."""
    sql(
        f"CREATE TRIGGER broken BEFORE INSERT ON {table}"
        " BEGIN SELECT RAISE(ABORT, 'broken by the test'); END"
    )
    try:
        yield
    finally:
        sql("DROP TRIGGER broken")


def codes(caught):
    return [error.code for error in caught.value.errors]
