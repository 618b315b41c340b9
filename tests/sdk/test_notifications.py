"""The Stream webhook and live notifications by Cloudflare's Python client, every method it has."""

import cloudflare
import pytest

from declared import assert_declared

URL = "https://hooks.example.com/stream"


def test_the_stream_webhook(client, account):
    for name in ["body_notification_url_1", "body_notification_url_2"]:
        made = client.stream.webhooks.update(account_id=account, **{name: URL})
        assert_declared(made)
        assert made.notification_url == URL
        assert len(made.secret) >= 32
    found = client.stream.webhooks.get(account_id=account)
    assert_declared(found)
    assert (found.notification_url, found.secret) == (URL, made.secret)
    assert_declared(client.stream.webhooks.delete(account_id=account))
    with pytest.raises(cloudflare.NotFoundError):
        client.stream.webhooks.get(account_id=account)


def test_destinations(client, account):
    webhooks = client.alerting.destinations.webhooks
    made = webhooks.create(account_id=account, name="hooks", url=URL, secret="s3cret")
    assert_declared(made)
    found = webhooks.get(made.id, account_id=account)
    assert_declared(found)
    assert (found.id, found.name, found.url) == (made.id, "hooks", URL)
    listed = list(webhooks.list(account_id=account))
    for one in listed:
        assert_declared(one)
    assert made.id in [one.id for one in listed]
    updated = webhooks.update(made.id, account_id=account, name="renamed", url=URL)
    assert_declared(updated)
    assert updated.id == made.id
    assert webhooks.get(made.id, account_id=account).name == "renamed"
    assert_declared(webhooks.delete(made.id, account_id=account))
    with pytest.raises(cloudflare.NotFoundError):
        webhooks.get(made.id, account_id=account)


def test_policies(client, account, live_input):
    destination = client.alerting.destinations.webhooks.create(
        account_id=account, name="hooks", url=URL
    )
    policies = client.alerting.policies
    made = policies.create(
        account_id=account,
        name="live",
        description="what happens to one live input",
        enabled=True,
        alert_type="stream_live_notifications",
        mechanisms={"webhooks": [{"id": destination.id}]},
        filters={"input_id": [live_input.uid]},
    )
    assert_declared(made)
    found = policies.get(made.id, account_id=account)
    assert_declared(found)
    assert (found.id, found.name, found.enabled) == (made.id, "live", True)
    assert [one.id for one in found.mechanisms.webhooks] == [destination.id]
    assert found.filters.input_id == [live_input.uid]
    listed = list(policies.list(account_id=account))
    for one in listed:
        assert_declared(one)
    assert made.id in [one.id for one in listed]
    updated = policies.update(made.id, account_id=account, enabled=False)
    assert_declared(updated)
    assert policies.get(made.id, account_id=account).enabled is False
    assert_declared(policies.delete(made.id, account_id=account))
    with pytest.raises(cloudflare.NotFoundError):
        policies.get(made.id, account_id=account)
