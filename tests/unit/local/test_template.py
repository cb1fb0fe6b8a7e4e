from datetime import timedelta
from pathlib import Path

import pytest

from local.template import Template

FIXTURE = Path(__file__).parents[2] / "integration" / "local" / "fixture" / "template.yaml"
GIVEN = {"Stage": "dev", "MongoDbSecretArn": "arn:aws:secretsmanager:us-east-1:123456789012:secret:mongo"}


@pytest.fixture
def template() -> Template:
    return Template(FIXTURE, GIVEN)


def write(folder: Path, text: str) -> Path:
    path = folder / "template.yaml"
    path.write_text(text)
    return path


def test_merges_globals_with_a_functions_own(template: Template) -> None:
    functions = {function.name: function for function in template.functions()}
    echo, sleep = functions["EchoFunction"], functions["SleepFunction"]
    assert echo.environment == {
        "FROM_GLOBALS": "yes",
        "SHARED": "dev of us-east-1",
        "BUCKET_NAME": "studio-local-fixturebucket",
    }
    assert (echo.timeout, sleep.timeout) == (5, 1)
    assert sleep.environment["SHARED"] == "globals"
    assert functions["ReservedFunction"].concurrency == 1
    assert functions["ImportsFunction"].layers == (FIXTURE.parent / "layers" / "extra",)


def test_lists_routes_with_their_authorizers(template: Template) -> None:
    routes = {route.path: route for route in template.routes()}
    assert routes["/echo"].authorizer is None
    assert routes["/sleep"].timeout == 0.5
    authorizer = routes["/guarded"].authorizer
    assert authorizer is not None
    assert authorizer.function == "AuthorizeFunction"
    assert authorizer.headers == ("X-API-KEY",)
    assert authorizer.cache_seconds == 60


def test_splits_list_parameters(template: Template) -> None:
    assert template.cors()["AllowOrigins"] == ["https://studio.example", "https://other.example"]


def test_reads_the_projects_own_template() -> None:
    template = Template(Path(__file__).parents[3] / "template.yaml", GIVEN)
    functions = {function.name: function for function in template.functions()}
    assert functions["CheckHealthFunction"].environment["MONGODB_SECRET_ARN"] == GIVEN["MongoDbSecretArn"]
    # Global layers come first.
    layers = [layer.name for layer in functions["AutoCorrectFunction"].layers]
    assert layers[0] == "core_dependencies"
    assert layers[-1] == "imaging_dependencies"


def test_wants_a_value_for_every_parameter() -> None:
    with pytest.raises(ValueError, match="MongoDbSecretArn"):
        Template(FIXTURE, {"Stage": "dev"})


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("!Ref AWS::Region", "us-east-1"),
        ("!Join ['-', [a, !Ref Stage]]", "a-dev"),
        ("!Sub '${Stage}/${!Literal}/${Bucket}'", "dev/${Literal}/studio-local-bucket"),
        ("!Sub '${Bucket.Arn}/*'", "arn:aws:s3:::studio-local-bucket/*"),
        ("!Sub ['${Name}-${Stage}', {Name: !Ref Stage}]", "dev-dev"),
        ("!If [IsDev, 1, 2]", 1),
        ("!If [IsProd, 1, 2]", 2),
        ("!If [IsEither, 1, 2]", 1),
        ("!If [IsBoth, 1, 2]", 2),
        ("[a, !If [IsProd, b, !Ref AWS::NoValue]]", ["a"]),
        ("{a: 1, b: !If [IsProd, b, !Ref AWS::NoValue]}", {"a": 1}),
        ("!GetAtt Bucket.Arn", "arn:aws:s3:::studio-local-bucket"),
        ("2010-09-09", "2010-09-09"),
        ("true", "true"),
    ],
)
def test_works_out_intrinsic_functions(tmp_path: Path, expression: str, expected: object) -> None:
    path = write(
        tmp_path,
        f"""
Parameters:
  Stage: {{Type: String}}
Conditions:
  IsDev: !Equals [!Ref Stage, dev]
  IsProd: !Not [!Condition IsDev]
  IsEither: !Or [!Condition IsDev, !Condition IsProd]
  IsBoth: !And [!Condition IsDev, !Condition IsProd]
Resources:
  Bucket:
    Type: AWS::S3::Bucket
    Properties:
      Value: {expression}
""",
    )
    value = Template(path, {"Stage": "dev"}).resources("AWS::S3::Bucket")["Bucket"]["Value"]
    if isinstance(expected, str):
        value = str(value).lower() if isinstance(value, bool) else str(value)
    assert value == expected


def test_leaves_out_what_its_condition_excludes(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        """
Conditions:
  Never: !Equals [a, b]
Resources:
  Bucket: {Type: AWS::S3::Bucket, Condition: Never}
""",
    )
    assert Template(path, {}).resources("AWS::S3::Bucket") == {}


def test_names_what_it_cannot_work_out(tmp_path: Path) -> None:
    path = write(tmp_path, "Resources: {Bucket: {Type: AWS::S3::Bucket, Properties: {Value: !Cidr [a, 1]}}}")
    with pytest.raises(NotImplementedError, match="Fn::Cidr"):
        Template(path, {}).resources("AWS::S3::Bucket")


@pytest.mark.parametrize(
    ("kind", "properties", "unknown"),
    [
        ("Function", "Events: {E: {Type: ScheduleV2, Properties: {}}}", "ScheduleV2"),
        ("Function", "Events: {E: {Type: CloudWatchEvent, Properties: {}}}", "CloudWatchEvent"),
        ("Function", "Events: {E: {Type: Schedule, Properties: {Schedule: rate(1 day), Input: '{}'}}}", "Input"),
        ("Function", "Events: {E: {Type: EventBridgeRule, Properties: {Pattern: {}, Input: '{}'}}}", "Input"),
        ("Function", "EventInvokeConfig: {DestinationConfig: {OnFailure: {Type: SQS, Destination: q}}}", "SQS"),
        ("StateMachine", "Definition: {}", "Definition"),
        ("StateMachine", "Events: {E: {Type: Schedule, Properties: {}}}", "Events"),
        ("HttpApi", "CorsConfiguration: {AllowCredentials: true}", "AllowCredentials"),
    ],
)
def test_names_what_it_does_not_do(kind: str, properties: str, unknown: str, tmp_path: Path) -> None:
    own = f"{{CodeUri: a, Handler: b, {properties}}}"
    path = write(tmp_path, f"Resources: {{R: {{Type: AWS::Serverless::{kind}, Properties: {own}}}}}")
    template = Template(path, {})
    with pytest.raises(NotImplementedError, match=unknown):
        _ = [template.functions(), template.schedules(), template.rules(), template.state_machines(), template.cors()]


def test_names_a_type_of_parameters_that_it_does_not_know(tmp_path: Path) -> None:
    with pytest.raises(NotImplementedError, match="List<Number>"):
        Template(write(tmp_path, "{Parameters: {P: {Type: List<Number>}}, Resources: {}}"), {"P": "1,2"})


@pytest.mark.parametrize(
    ("properties", "every"),
    [
        ("Schedule: rate(1 minute)", timedelta(minutes=1)),
        ("Schedule: rate(12 hours)", timedelta(hours=12)),
        ("Schedule: rate(1 day), Enabled: true", timedelta(days=1)),
        ("Schedule: rate(1 day), Enabled: false", None),
        ("Schedule: rate(1 day), State: DISABLED", None),
        ("Schedule: 'cron(0 3 * * ? *)'", None),
    ],
)
def test_reads_the_rate_of_a_schedule(properties: str, every: timedelta | None, tmp_path: Path) -> None:
    event = f"{{Type: Schedule, Properties: {{{properties}}}}}"
    resource = f"{{Type: AWS::Serverless::Function, Properties: {{Events: {{E: {event}}}}}}}"
    [schedule] = Template(write(tmp_path, f"Resources: {{F: {resource}}}"), {}).schedules()
    assert schedule.every == every
    assert (schedule.name, schedule.function) == ("FE", "F")


def test_an_event_invoke_config_may_be_a_resource_of_its_own(tmp_path: Path) -> None:
    text = """
Resources:
  Worker:
    Type: AWS::Serverless::Function
    Properties: {CodeUri: a, Handler: app.h}
  Other:
    Type: AWS::Serverless::Function
    Properties: {CodeUri: b, Handler: app.h}
  Config:
    Type: AWS::Lambda::EventInvokeConfig
    Properties:
      FunctionName: !Ref Worker
      Qualifier: $LATEST
      MaximumRetryAttempts: 0
      DestinationConfig: {OnFailure: {Destination: !GetAtt Other.Arn}}
"""
    functions = {function.name: function for function in Template(write(tmp_path, text), {}).functions()}
    assert (functions["Worker"].event_retries, functions["Worker"].failure_destination) == (0, "Other")
    assert (functions["Other"].event_retries, functions["Other"].failure_destination) == (2, "")
