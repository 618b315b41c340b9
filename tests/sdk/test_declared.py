"""The walk finds what the client lets pass."""

import pytest
from cloudflare._models import construct_type
from cloudflare.types.stream import LiveInput

from declared import assert_declared


def test_a_wrong_type_is_found():
    right = {"uid": "a", "rtmps": {"url": "b"}, "enabled": True, "created": None}
    for wrong, field in [
        ({"uid": 1}, "uid"),
        ({"enabled": "perhaps"}, "enabled"),
        ({"created": "yesterday"}, "created"),
        ({"rtmps": "rtmps://"}, "rtmps"),
        ({"rtmps": {"url": 1}}, "rtmps.url"),
    ]:
        assert_declared(built(right))
        with pytest.raises(AssertionError, match=f"LiveInput.{field} is"):
            assert_declared(built(right | wrong))


def test_the_status_of_an_input_is_excepted():
    assert_declared(built({"status": {"current": None, "history": []}}))


def built(answer):
    """A model as the client makes it of an answer."""
    return construct_type(type_=LiveInput, value=answer)
