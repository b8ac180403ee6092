"""An error's docstring is its message, and doors can rely on its status and code."""

import pytest

from opsmantik import errors
from opsmantik.errors import OpsMantikError


def kinds(base: type[OpsMantikError] = OpsMantikError) -> list[type[OpsMantikError]]:
    return [base, *(kind for child in base.__subclasses__() for kind in kinds(child))]


STATUSES = {
    errors.Malformed: 400,
    errors.NotSignedIn: 401,
    errors.Forbidden: 403,
    errors.UnknownSite: 404,
    errors.Conflict: 409,
    errors.TooLarge: 413,
    errors.Unprocessable: 422,
    errors.TooManyRequests: 429,
    errors.Unavailable: 503,
    errors.DatabaseUnavailable: 503,
}


@pytest.mark.parametrize("kind", kinds(), ids=lambda kind: kind.__name__)
def test_every_error_says_what_is_wrong_in_one_line(kind: type[OpsMantikError]) -> None:
    error = kind(**{name: f"<{name}>" for name in kind.fields()})
    assert str(error) == error.message and len(error.message) > 10
    assert not set("{}\n") & set(error.message)
    assert all(f"<{name}>" in error.message for name in kind.fields())


@pytest.mark.parametrize(
    ("kind", "status"), STATUSES.items(), ids=lambda case: getattr(case, "__name__", str(case))
)
def test_statuses(kind: type[OpsMantikError], status: int) -> None:
    assert kind.status == status


def test_no_two_errors_share_a_code_or_lack_a_docstring() -> None:
    codes = [kind.code for kind in kinds()]
    assert len(set(codes)) == len(codes)
    assert [kind.__name__ for kind in kinds() if not kind.__doc__] == []


@pytest.mark.parametrize(
    "kind", [k for k in kinds() if k.status in (429, 503)], ids=lambda kind: kind.__name__
)
def test_what_may_be_tried_again_says_when(kind: type[OpsMantikError]) -> None:
    assert kind().retry_after and kind(retry_after=30).retry_after == 30


def test_a_missing_detail_is_a_mistake_of_the_raiser() -> None:
    with pytest.raises(TypeError, match="reason"):
        errors.Forbidden()
