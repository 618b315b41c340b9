"""Live inputs by Cloudflare's Python client, every method it has."""

from datetime import datetime, timezone

from declared import assert_declared


def test_create_without_a_body(client, account):
    made = client.stream.live_inputs.create(account_id=account)
    assert_declared(made)
    assert made.meta == {}
    assert made.enabled is True
    assert made.rtmps.url.startswith("rtmps://")
    assert made.rtmps.stream_key.endswith("k" + made.uid)
    client.stream.live_inputs.delete(made.uid, account_id=account)


def test_create_with_every_field(client, account):
    made = client.stream.live_inputs.create(
        account_id=account,
        default_creator="somebody",
        delete_recording_after_days=45,
        enabled=False,
        meta={"name": "all of them", "tags": ["a", 1, None]},
        prefer_low_latency=False,
        recording={
            "mode": "automatic",
            "require_signed_urls": False,
            "allowed_origins": ["example.com"],
            "timeout_seconds": 30,
            "hide_live_viewer_count": False,
        },
    )
    assert_declared(made)
    assert made.meta == {"name": "all of them", "tags": ["a", 1, None]}
    assert made.enabled is False
    age = datetime.now(timezone.utc) - made.created
    assert abs(age.total_seconds()) < 60
    client.stream.live_inputs.delete(made.uid, account_id=account)


def test_create_once_with_an_idempotency_key(client, account):
    create = client.stream.live_inputs.create
    first = create(account_id=account, meta={"name": "once"}, idempotency_key="one and the same")
    again = create(account_id=account, meta={"name": "once"}, idempotency_key="one and the same")
    assert_declared(again)
    assert again.uid == first.uid
    client.stream.live_inputs.delete(first.uid, account_id=account)


def test_list(client, account, live_input):
    for counts in [{}, {"include_counts": True}, {"include_counts": False}]:
        listed = client.stream.live_inputs.list(account_id=account, **counts)
        assert_declared(listed)
        [found] = [one for one in listed.live_inputs if one.uid == live_input.uid]
        assert found.meta == {"name": "test"}
        assert found.created == live_input.created
        assert listed.total >= len(listed.live_inputs)


def test_get(client, account, live_input):
    found = client.stream.live_inputs.get(live_input.uid, account_id=account)
    assert_declared(found)
    assert found.uid == live_input.uid
    assert found.meta == {"name": "test"}
    assert found.created == live_input.created
    assert found.rtmps.stream_key == live_input.rtmps.stream_key


def test_update(client, account, live_input):
    updated = client.stream.live_inputs.update(
        live_input.uid,
        account_id=account,
        enabled=False,
        meta={"name": "renamed"},
        recording={"mode": "off"},
        default_creator="somebody",
        delete_recording_after_days=30,
        prefer_low_latency=False,
    )
    assert_declared(updated)
    assert updated.enabled is False
    assert updated.meta == {"name": "renamed"}
    assert updated.rtmps.stream_key == live_input.rtmps.stream_key
    found = client.stream.live_inputs.get(live_input.uid, account_id=account)
    assert found.to_dict() == updated.to_dict()


def test_delete(client, account):
    made = client.stream.live_inputs.create(account_id=account)
    assert client.stream.live_inputs.delete(made.uid, account_id=account) is None


def test_answers_are_read_raw_and_streamed(client, account, live_input):
    raw = client.stream.live_inputs.with_raw_response.get(live_input.uid, account_id=account)
    assert raw.headers["content-type"] == "application/json"
    assert raw.parse().uid == live_input.uid
    streaming = client.stream.live_inputs.with_streaming_response
    with streaming.get(live_input.uid, account_id=account) as answer:
        assert answer.parse().uid == live_input.uid
