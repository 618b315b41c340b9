"""Outputs by Cloudflare's Python client, every method it has."""

from declared import assert_declared

URL = "rtmps://b.rtmps.youtube.com/live2?backup=1"


def test_create(client, account, live_input):
    made = create(client, account, live_input)
    assert_declared(made)
    assert made.url == URL
    assert made.stream_key == "uzya-f19y-g2g9-a2ee-51j2"
    assert made.enabled is True
    off = create(client, account, live_input, enabled=False)
    assert_declared(off)
    assert off.enabled is False


def test_create_with_an_empty_key(client, account, live_input):
    made = create(client, account, live_input, stream_key="")
    assert_declared(made)
    assert made.stream_key == ""


def test_list(client, account, live_input):
    made = [create(client, account, live_input) for _ in range(3)]
    page = client.stream.live_inputs.outputs.list(live_input.uid, account_id=account)
    listed = list(page)
    assert [output.uid for output in listed] == [output.uid for output in made]
    for output in listed:
        assert_declared(output)
        assert output.stream_key == "uzya-f19y-g2g9-a2ee-51j2"
    assert not page.has_next_page()


def test_update(client, account, live_input):
    made = create(client, account, live_input)
    updated = client.stream.live_inputs.outputs.update(
        made.uid, account_id=account, live_input_identifier=live_input.uid, enabled=False
    )
    assert_declared(updated)
    assert updated.uid == made.uid
    assert updated.enabled is False
    assert updated.url == URL


def test_delete(client, account, live_input):
    made = create(client, account, live_input)
    outputs = client.stream.live_inputs.outputs
    deleted = outputs.delete(made.uid, account_id=account, live_input_identifier=live_input.uid)
    assert deleted is None
    assert list(outputs.list(live_input.uid, account_id=account)) == []


def create(client, account, live_input, **more):
    wanted = {"url": URL, "stream_key": "uzya-f19y-g2g9-a2ee-51j2"} | more
    return client.stream.live_inputs.outputs.create(
        live_input.uid, account_id=account, **wanted
    )
