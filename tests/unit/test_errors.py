from studio.errors import refuse_fields


def test_a_hundred_problems_are_told_and_the_others_counted() -> None:
    problems = [(("shots", number), {"type": "missing", "msg": "Field required"}) for number in range(250)]
    refusal = refuse_fields(problems)
    assert [detail.field for detail in refusal.details] == [f"shots.{number}" for number in range(100)]
    assert refusal.message.endswith("shots.2: Field required; and 247 more")
    assert refuse_fields(problems[:3]).message.endswith("shots.2: Field required")
