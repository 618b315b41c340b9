"""The API's description as the Worker serves it, and what is there to be asked for."""

import itertools
import json
import os
import random
import re
import unicodedata
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import urlsplit

import jsonschema_rs
import requests
import schemathesis
from hypothesis import strategies as st
from schemathesis.core import NOT_SET
from schemathesis.core.parameters import ParameterLocation

# STREAM_CONNECT_SEED repeats a run; a full run makes more requests of each operation.
SEED = int(os.environ.get("STREAM_CONNECT_SEED") or random.SystemRandom().randrange(2**32))
EXAMPLES = 500 if os.environ.get("STREAM_CONNECT_FULL") else 30
HEADER = f"schemathesis: {EXAMPLES} examples an operation, STREAM_CONNECT_SEED={SEED}"

_base = urlsplit(os.environ["CLOUDFLARE_BASE_URL"])
ROOT = f"{_base.scheme}://{_base.netloc}"
ACCOUNT = os.environ["STREAM_CONNECT_ACCOUNT"]
NOBODY = "0" * 32
MAX_BODY_BYTES = 64 * 1024

ID = re.compile(r"[0-9a-f]{32}")
BOOTSTRAP = os.environ["STREAM_CONNECT_BOOTSTRAP"]
RESOURCE = "com.cloudflare.api.account."
OWN = {f"{RESOURCE}{ACCOUNT}": "*"}
STREAM_READ = "de21485a24744b76a004aa153898f7fe"
TOKEN = {
    "name": "made",
    "policies": [
        {"effect": "allow", "resources": OWN, "permission_groups": [{"id": STREAM_READ}]}
    ],
}


class Receiver(BaseHTTPRequestHandler):
    """Takes whatever is sent to it."""

    def do_POST(self):
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


receiver = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
Thread(target=receiver.serve_forever, daemon=True).start()
DESTINATION = {"name": "one", "url": f"http://127.0.0.1:{receiver.server_port}/"}
OUTPUT = {"url": "rtmp://a.example.com/live2", "streamKey": "uzya-f19y-g2g9-a2ee-51j2"}

RTMP_URL = r"rtmps?://[a-z]{1,9}\.example(:19[0-9]{2})?/[a-z0-9][a-z0-9/]{0,19}"
WEB_URL = r"https?://[a-z]{1,9}\.example/[a-z0-9/]{1,20}"
TIME = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?Z"

session = requests.Session()

schemathesis.openapi.format(
    "rtmp-url",
    st.from_regex(RTMP_URL, fullmatch=True),
)
schemathesis.openapi.format(
    "stream-key",
    st.text(st.characters(min_codepoint=32, exclude_categories=["Cc", "Cs"]), max_size=200),
)

schemathesis.openapi.format(
    "name",
    st.text(
        st.characters(min_codepoint=32, exclude_categories=["Cc", "Cs"]), min_size=1, max_size=60
    ),
)


def times(first, last):
    """Times between two years: what is refused for its date says nothing of its form."""
    moments = st.datetimes(datetime(first, 1, 1), datetime(last, 1, 1))
    return moments.map(lambda time: f"{time.isoformat()}Z")


schemathesis.openapi.format("time-of-beginning", times(1980, 2090))
schemathesis.openapi.format("time-ahead", times(2100, 2200))

schemathesis.openapi.format(
    "web-url",
    st.from_regex(WEB_URL, fullmatch=True),
)
schemathesis.openapi.format("header-text", st.from_regex(r"[!-~]{0,60}", fullmatch=True))
# What a policy names must be there: this is, once the world is.
made = {}
schemathesis.openapi.format("destination-id", st.builds(lambda: made.get("destination", NOBODY)))

schema = schemathesis.openapi.from_url(
    f"{ROOT}/openapi.json",
    config=schemathesis.Config.from_dict({
        "seed": SEED,
        "base-url": ROOT,
        "generation": {"max-examples": EXAMPLES, "database": "none"},
    }),
)


ALERTING = f"{ROOT}/accounts/{ACCOUNT}/alerting/v3"

# They answer 404 while none is set.
STREAM_WEBHOOK = {
    "get_stream_webhook",
    "delete_stream_webhook",
    "list_stream_webhook_deliveries",
    "test_stream_webhook",
}


def policy():
    return {
        "name": "one",
        "alert_type": "stream_live_notifications",
        "mechanisms": {"webhooks": [{"id": made["destination"]}]},
    }


class World:
    """Live inputs, outputs, destinations and policies that exist, so that what is asked for is there."""

    def __init__(self, tokens, token, sql):
        self._sql = sql
        self._spendthrift = tokens.pop()
        self.token = token
        self._tokens = itertools.cycle(tokens)
        self._made = itertools.count()
        self.input = self._create("", None)
        self.output = self._create(f"/{self.input}/outputs", OUTPUT)
        self.destination = self._make("destinations/webhooks", DESTINATION)
        made["destination"] = self.destination
        self.policy = self._make("policies", policy())
        self._crowded = self.input
        self._crowd = itertools.count()

    def spent(self):
        """Credentials that have asked too often, with some of the minute left."""
        headers = {"Authorization": f"Bearer {self._spendthrift}"}

        def ask(_=None):
            return requests.get(f"{ROOT}/user/tokens/verify", headers=headers)

        while True:
            answer = ask()
            if answer.status_code == 429 and int(answer.headers["retry-after"]) > 2:
                return headers
            # Beside each other, so that a slow machine gets there within the minute.
            with ThreadPoolExecutor(8) as pool:
                list(pool.map(ask, range(64)))

    def headers(self, operation=None):
        if operation in ["create_account", "reseal_keys"]:
            return {"Authorization": f"Bearer {BOOTSTRAP}"}
        return {"Authorization": f"Bearer {next(self._tokens)}"}

    def parameters(self, operation):
        """A path that leads to something: to something new, where the operation takes it away."""
        found = {
            "account_id": ACCOUNT,
            "live_input_identifier": self.input,
            "output_identifier": self.output,
            "token_id": self.token,
            "destination_identifier": self.destination,
            "policy_identifier": self.policy,
        }
        if operation == "create_token" and next(self._made) % 100 == 0:
            # An account takes 500. Those that the API did not make have no policies.
            statement = "DELETE FROM tokens WHERE policies IS NOT NULL AND tag <> ?"
            self._sql(statement, self.token)
        if operation == "delete_token":
            found["token_id"] = self._post("tokens", TOKEN)["id"]
        if operation in ["create_output", "delete_output"]:
            # An input takes 50.
            if next(self._crowd) % 40 == 0:
                self._crowded = self._create("", None)
            found["live_input_identifier"] = self._crowded
        if operation == "delete_live_input":
            found["live_input_identifier"] = self._create("", None)
        if operation == "delete_output":
            found["output_identifier"] = self._create(f"/{self._crowded}/outputs", OUTPUT)
        if operation in ["create_destination", "delete_destination"]:
            self._make_room("destinations/webhooks", self.destination)
        if operation in ["create_policy", "delete_policy"]:
            self._make_room("policies", self.policy)
        if operation == "delete_destination":
            found["destination_identifier"] = self._make("destinations/webhooks", DESTINATION)
        if operation == "delete_policy":
            found["policy_identifier"] = self._make("policies", policy())
        if operation == "test_destination":
            # What it was changed to need not answer.
            self._ask("PUT", f"{ALERTING}/destinations/webhooks/{self.destination}", DESTINATION)
        if operation in STREAM_WEBHOOK:
            url = f"{ROOT}/accounts/{ACCOUNT}/stream/webhook"
            self._ask("PUT", url, {"notificationUrl": DESTINATION["url"]})
        return found

    def _make(self, path, body):
        return self._ask("POST", f"{ALERTING}/{path}", body)["id"]

    def _make_room(self, path, kept):
        """An account takes 20 destinations and 50 policies."""
        for one in self._ask("GET", f"{ALERTING}/{path}", None):
            if one["id"] != kept:
                self._ask("DELETE", f"{ALERTING}/{path}/{one['id']}", None)

    def _ask(self, method, url, body):
        answer = session.request(method, url, json=body, headers=self.headers())
        answer.raise_for_status()
        return answer.json()["result"]

    def _create(self, path, body):
        return self._post(f"stream/live_inputs{path}", body)["uid"]

    def _post(self, path, body):
        url = f"{ROOT}/accounts/{ACCOUNT}/{path}"
        answer = session.post(url, json=body, headers=self.headers())
        answer.raise_for_status()
        return answer.json()["result"]


def is_line(text):
    """Text without control characters, short enough in bytes."""
    controls = any(unicodedata.category(character) == "Cc" for character in text)
    return not controls and len(text.encode()) <= 1024


def matches(pattern):
    return lambda text: re.fullmatch(pattern, text) is not None


# Which texts are right, wherever they came from: schemathesis only knows how to make some.
FORMATS = {
    "rtmp-url": matches(RTMP_URL),
    "stream-key": is_line,
    "name": lambda text: is_line(text) and text.strip() != "",
    "time-of-beginning": matches(TIME),
    "time-ahead": matches(TIME),
    "web-url": matches(WEB_URL),
    "header-text": matches(r"([!-~]([ -~]*[!-~])?)?"),
    "destination-id": lambda text: text == made.get("destination"),
}


def is_right_for_all_that(case):
    """Whether only a body was to be wrong, and is right: any text that is not of a format's making
    is taken for a wrong one."""
    negative = {where for where, part in case.meta.components.items() if part.mode.is_negative}
    # A wrong token is not sent: ours takes its place.
    if {header.name for header in case.operation.headers} <= {"Authorization"}:
        negative.discard(ParameterLocation.HEADER)
    if negative != {ParameterLocation.BODY} or not isinstance(case.body, dict):
        return False
    schema = case.operation.get_body_for_media_type(case.media_type).optimized_schema
    validator = jsonschema_rs.Draft202012Validator(schema, formats=FORMATS, validate_formats=True)
    return validator.is_valid(case.body)


def aim(case, world):
    """Points a made request at what exists, wherever its path could exist; but every eighth misses."""
    found = world.parameters(case.operation.definition.raw.get("operationId"))
    for name, value in dict(case.path_parameters or {}).items():
        if ID.fullmatch(str(value)) and (name == "account_id" or int(value, 16) % 8 != 1):
            case.path_parameters[name] = found[name]
    policies = case.body.get("policies") if isinstance(case.body, dict) else None
    for policy in policies if isinstance(policies, list) else []:
        resources = policy.get("resources") if isinstance(policy, dict) else None
        if isinstance(resources, dict) and list(resources.values()) == ["*"]:
            [resource] = resources
            if ID.fullmatch(resource.removeprefix(RESOURCE)):
                policy["resources"] = OWN


# What paths name, beside the account.
IDENTIFIERS = [
    "live_input_identifier",
    "output_identifier",
    "token_id",
    "destination_identifier",
    "policy_identifier",
]

# A body that each operation accepts, where it needs one.
BODIES = {
    "create_account": lambda: {"name": "made"},
    "create_token": lambda: TOKEN,
    "create_destination": lambda: DESTINATION,
    "create_output": lambda: OUTPUT,
    "create_policy": policy,
    "put_stream_webhook": lambda: {"notificationUrl": DESTINATION["url"]},
    "update_destination": lambda: DESTINATION,
}


def directed(operation, world):
    """Requests that bring about each described answer: `(status, how it differs from a good one)`."""
    raw = operation.definition.raw
    described = operation.responses.status_codes
    # An upgrade, of which nothing here can ask, is tried in tests/control. Without one, whoever may have
    # the stream is told to ask for it.
    yield 426 if "426" in described else min(int(status) for status in described), {}
    if raw.get("security") == []:
        if "404" in described:
            yield 404, {"path": {"live_input_identifier": NOBODY}}
        return
    yield 400, {"headers": {}}
    yield 403, {"headers": {"Authorization": "Bearer " + "x" * 40}}
    yield 429, {"headers": world.spent}
    if "{account_id}" in operation.path:
        yield 404, {"path": {"account_id": "me"}}
    for name in IDENTIFIERS:
        if f"{{{name}}}" in operation.path:
            yield 404, {"path": {name: NOBODY}}
            yield 404, {"path": {name: "nonsense"}}
    if "requestBody" in raw:
        wrong = '{"enabled": "perhaps", "gracePeriodSeconds": "long", "name": 1}'
        for body in ["nonsense", "[]", wrong]:
            yield 400, {"body": body.encode()}
        yield 413, {"body": b" " * (MAX_BODY_BYTES + 1)}
    if "409" in described:
        once = world.headers() | {"Idempotency-Key": str(uuid.uuid4())}
        yield 200, {"headers": once}
        other = OUTPUT | {"meta": {"name": "another"}}
        yield 409, {"headers": once, "body": json.dumps(other).encode()}


def case(operation, world, path={}, headers=None, body=None):
    """A request that the operation grants, with what is to differ."""
    name = operation.definition.raw["operationId"]
    parameters = world.parameters(name) | path
    used = {key: value for key, value in parameters.items() if f"{{{key}}}" in operation.path}
    # Asked for last: what is spent is soon earned again.
    if callable(headers):
        headers = headers()
    if body is None:
        body = BODIES.get(name, lambda: NOT_SET)()
    return operation.Case(
        path_parameters=used,
        headers=world.headers(name) if headers is None else headers,
        body=body,
        media_type="application/json",
    )
