"""Whether what a client returns is what it declares.

The client builds its models without looking: a field of the wrong type stays what the server sent,
and only a walk over the annotations finds it.
"""

from pydantic import BaseModel, TypeAdapter

# Declared as a text; production sends an object, and so do we.
EXCEPTIONS = {("LiveInput", "status")}


def assert_declared(value, path=""):
    """Checks a model, and every model in it, against its annotations."""
    if isinstance(value, BaseModel):
        name = type(value).__name__
        path = path or name
        for field, info in type(value).model_fields.items():
            found = getattr(value, field)
            if (name, field) in EXCEPTIONS:
                continue
            if found is None and field not in value.model_fields_set:
                continue
            adapter = TypeAdapter(info.annotation)
            try:
                adapter.validate_python(found, strict=True)
            except ValueError as error:
                raise AssertionError(f"{path}.{field} is {found!r}: {error}") from None
            assert_declared(found, f"{path}.{field}")
    elif isinstance(value, dict):
        for key, item in value.items():
            assert_declared(item, f"{path}.{key}")
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            assert_declared(item, f"{path}[{index}]")
