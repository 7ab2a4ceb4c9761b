import pytest

from kedge.drift.verdict import ColumnVerdict, Measured, day_verdict


def measured(value: float | None, noise: float | None = 0.05) -> Measured:
    return Measured(method="distance", value=value, noise=noise)


def verdict(value: float | None, missing: float | None = None) -> ColumnVerdict:
    return ColumnVerdict(values=measured(value), missing=None if missing is None else measured(missing))


@pytest.mark.parametrize(
    ("value", "noise", "drifted"),
    [
        (0.2, 0.05, True),
        (0.09, 0.05, False),  # sure, but too small to matter
        (0.2, 0.3, False),  # large, but no larger than draws of this size
        (0.1, 0.05, False),  # above, not at
        (None, None, False),
    ],
)
def test_a_distance_has_to_pass_threshold_and_noise(value: float | None, noise: float | None, drifted: bool) -> None:
    assert measured(value, noise).drifted is drifted
    assert measured(value, noise).to_json()["drifted"] is drifted


def test_a_column_drifts_when_its_values_or_its_gaps_do() -> None:
    assert verdict(0.2).drifted
    assert verdict(0.01, missing=0.2).drifted
    assert verdict(None, missing=0.2).judged
    assert not verdict(0.01, missing=0.01).drifted
    assert not verdict(None).judged
    assert verdict(0.01, missing=0.2).to_json()["missing"]["drifted"] is True


QUIET, LOUD, UNKNOWN = verdict(0.01), verdict(0.5), verdict(None)


@pytest.mark.parametrize(
    ("features", "prediction", "target", "drifted", "reason"),
    [
        ([QUIET] * 10, QUIET, QUIET, False, "0 of 10 features drifted"),
        ([LOUD] * 2 + [QUIET] * 8, QUIET, QUIET, False, "2 of 10 features drifted"),
        ([LOUD] * 3 + [QUIET] * 7, QUIET, QUIET, True, "drifted: 3 of 10 features"),
        ([QUIET] * 10, LOUD, QUIET, True, "drifted: the prediction"),
        ([QUIET] * 10, QUIET, LOUD, True, "drifted: the target"),
        ([LOUD] * 10, LOUD, LOUD, True, "drifted: 10 of 10 features, the prediction, the target"),
        ([UNKNOWN] * 7 + [LOUD] + [QUIET] * 2, UNKNOWN, UNKNOWN, True, "drifted: 1 of 3 features"),
        ([UNKNOWN] * 10, QUIET, UNKNOWN, False, "0 of 0 features drifted"),
        ([UNKNOWN] * 10, UNKNOWN, UNKNOWN, None, "too few people to judge any column"),
    ],
)
def test_the_day(
    features: list[ColumnVerdict], prediction: ColumnVerdict, target: ColumnVerdict, drifted: bool | None, reason: str
) -> None:
    day = day_verdict({f"f{i}": f for i, f in enumerate(features)}, prediction, target, share=0.3)
    assert (day.drifted, day.reason) == (drifted, reason)
