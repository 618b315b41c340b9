"""Tokens by Cloudflare's Python client, every method it has."""

from datetime import datetime, timedelta, timezone

import cloudflare
import pytest
from cloudflare import Cloudflare

from declared import assert_declared

STREAM_READ = "de21485a24744b76a004aa153898f7fe"
STREAM_WRITE = "714f9c13a5684c2885a793f5edb36f59"


@pytest.fixture
def tokens(client):
    return client.accounts.tokens


def test_life(tokens, account):
    made = create(tokens, account)
    assert_declared(made)
    assert made.status == "active"
    own = Cloudflare(api_token=made.value)
    verified = own.accounts.tokens.verify(account_id=account)
    assert_declared(verified)
    assert (verified.id, verified.status) == (made.id, "active")
    assert own.user.tokens.verify().id == made.id
    assert list(own.stream.live_inputs.list(account_id=account).live_inputs) is not None
    with pytest.raises(cloudflare.PermissionDeniedError):
        own.stream.live_inputs.create(account_id=account)

    found = tokens.get(made.id, account_id=account)
    assert_declared(found)
    assert found.name == "made by a client"
    assert found.policies[0].permission_groups[0].name == "Stream Read"

    ahead = datetime.now(timezone.utc) + timedelta(days=1)
    changed = tokens.update(
        made.id,
        account_id=account,
        name="changed",
        policies=policies(account, STREAM_WRITE),
        status="active",
        expires_on=ahead,
    )
    assert_declared(changed)
    assert (changed.name, changed.expires_on) == ("changed", ahead)

    value = tokens.value.update(made.id, account_id=account)
    assert value != made.value
    assert Cloudflare(api_token=value).user.tokens.verify().status == "active"
    with pytest.raises(cloudflare.PermissionDeniedError):
        own.user.tokens.verify()

    deleted = tokens.delete(made.id, account_id=account)
    assert_declared(deleted)
    assert deleted.id == made.id
    with pytest.raises(cloudflare.NotFoundError):
        tokens.get(made.id, account_id=account)


def test_list_turns_pages_to_the_end(tokens, account):
    made = {create(tokens, account).id for _ in range(3)}
    page = tokens.list(account_id=account, per_page=2)
    assert page.result_info.per_page == 2
    listed = list(page)
    for token in listed:
        assert_declared(token)
    ids = [token.id for token in listed]
    assert made <= set(ids) and len(ids) == len(set(ids))
    newest = tokens.list(account_id=account, direction="desc", include_expired=True)
    assert [token.id for token in newest] == ids[::-1]


def test_permission_groups(tokens, account):
    groups = list(tokens.permission_groups.list(account_id=account))
    for group in groups:
        assert_declared(group)
    assert {group.name: group.id for group in groups}["Stream Read"] == STREAM_READ
    [named] = tokens.permission_groups.get(account_id=account, name="Stream%20Write")
    assert named.id == STREAM_WRITE


def test_a_condition_is_refused(tokens, account):
    with pytest.raises(cloudflare.BadRequestError) as refused:
        create(tokens, account, condition={"request_ip": {"in": ["192.0.2.0/24"]}})
    assert refused.value.errors[0].code == 10005


def policies(account, *groups):
    return [
        {
            "effect": "allow",
            "resources": {f"com.cloudflare.api.account.{account}": "*"},
            "permission_groups": [{"id": group} for group in groups],
        }
    ]


def create(tokens, account, **more):
    name = "made by a client"
    return tokens.create(
        account_id=account, name=name, policies=policies(account, STREAM_READ), **more
    )
