"""The Worker against its own description: what it does is described, and what is described it does.

schemathesis makes requests from the description, right ones and wrong ones, and holds each answer
against it.
"""

import time

import pytest
from hypothesis import HealthCheck, settings
from schemathesis.checks import CHECKS, load_all_checks

import api

load_all_checks()

# Both want a 401, and no credentials are 400 here, as with Cloudflare. Each end point is tried
# without credentials below, and with others' in tests/control.
EXCLUDED = CHECKS.get_by_names(["ignored_auth", "missing_required_header"])
REFUSAL_OF_WRONG = CHECKS.get_by_names(["negative_data_rejection"])
ACCEPTANCE_OF_RIGHT = CHECKS.get_by_names(["positive_data_acceptance"])


@api.schema.parametrize()
@settings(
    deadline=None,
    max_examples=api.EXAMPLES,
    suppress_health_check=list(HealthCheck),
)
def test_answers_are_as_described(case, world, seen):
    api.aim(case, world)
    operation = case.operation.definition.raw.get("operationId")
    answer = case.call(headers=world.headers(operation), session=api.session)
    seen.add((case.operation.label, answer.status_code))
    excluded = EXCLUDED
    known = {parameter.name for parameter in case.operation.query}
    # Parameters that we don't know are ignored, as newer clients send them.
    if set(case.query or {}) - known or api.is_right_for_all_that(case):
        excluded = EXCLUDED + REFUSAL_OF_WRONG
    # No request that is made here can ask for a WebSocket: all else about it is right.
    if answer.status_code == 426:
        excluded = excluded + ACCEPTANCE_OF_RIGHT
    case.validate_response(answer, excluded_checks=excluded)


def operations():
    return [result.ok() for result in api.schema.get_all_operations()]


@pytest.mark.parametrize("operation", operations(), ids=lambda operation: operation.label)
def test_each_described_answer_is_seen(operation, world, seen):
    """Requests made for it, beside those of schemathesis: each 2xx and 4xx comes at least once."""
    for status, change in api.directed(operation, world):
        case = api.case(operation, world, **change)
        answer = case.call(session=api.session)
        # The operator has one secret, and hundreds of examples may have spent its minute.
        if answer.status_code == 429 != status:
            time.sleep(int(answer.headers["retry-after"][0]))
            answer = case.call(session=api.session)
        assert answer.status_code == status, answer.text
        seen.add((operation.label, status))
        case.validate_response(answer, excluded_checks=EXCLUDED)
    described = operation.responses.status_codes
    wanted = {int(status) for status in described if status[0] in "24"}
    assert wanted <= {status for label, status in seen if label == operation.label}
