"""Settings: where values come from, what is refused, and that their reference tells the truth."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from runtime import settings_reference
from runtime.settings import KafkaSettings, Settings, UnknownSetting, as_environment, load_settings

ROOT = Path(__file__).parents[2]
ALL = [setting for group in settings_reference.groups() for setting in group.settings]


@pytest.fixture
def dotenv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A `.env` in the working directory of the test."""
    monkeypatch.chdir(tmp_path)
    return tmp_path / ".env"


def test_the_committed_reference_is_what_the_model_says() -> None:
    for path, text in (
        (settings_reference.REFERENCE, settings_reference.reference()),
        (settings_reference.EXAMPLE, settings_reference.example()),
    ):
        assert (ROOT / path).read_text() == text, f"{path} is stale; run: python -m runtime.settings_reference"


def test_writing_the_reference_makes_both_files(tmp_path: Path) -> None:
    settings_reference.write(tmp_path)
    assert (tmp_path / "docs" / "reference" / "config.md").read_text() == settings_reference.reference()
    assert (tmp_path / ".env.example").read_text() == settings_reference.example()


def test_every_setting_says_what_it_means() -> None:
    assert [setting.variable for setting in ALL if not setting.description.endswith(".")] == []
    assert [group.name for group in settings_reference.groups() if not group.description] == []


def test_the_reference_knows_limits_lists_and_alternatives() -> None:
    known = {setting.variable: setting for setting in ALL}
    assert known["HEADRACE_WORKER__FLUSH_RECORDS"].constraint == "1 to 20000"
    assert known["HEADRACE_KAFKA__REPLICATION_FACTOR"].constraint == "at least 1"
    assert known["HEADRACE_CASSANDRA__CONTACT_POINTS"].default == '["127.0.0.1"]'
    assert known["HEADRACE_LOG__JSON_LINES"].default == "true"
    assert known["HEADRACE_STACK__DIRECTORY"].constraint == "path"
    # A bar would end the cell of a table.
    assert "`^(DEBUG\\|INFO\\|WARNING\\|ERROR)$`" in settings_reference.reference()


def test_every_variable_of_the_example_can_be_used_and_changes_nothing(dotenv: Path) -> None:
    lines = settings_reference.example().splitlines()
    dotenv.write_text("\n".join(line.removeprefix("#") for line in lines if line.startswith("#HEADRACE_")))
    assert len(dotenv.read_text().splitlines()) == len(ALL)
    assert Settings() == Settings(_env_file=None)  # type: ignore[call-arg]


@pytest.mark.parametrize("setting", ALL, ids=lambda setting: setting.variable)
def test_every_variable_is_read(setting: settings_reference.Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    part, name = setting.variable.removeprefix("HEADRACE_").lower().split("__")
    other = other_value(setting)
    monkeypatch.setenv(setting.variable, other)
    read = getattr(getattr(Settings(_env_file=None), part), name)  # type: ignore[call-arg]
    assert (json.dumps(read) if isinstance(read, list | bool) else str(read)) == other


def other_value(setting: settings_reference.Setting) -> str:
    """A value that the setting takes and that is not its default."""
    if setting.default.isdigit():
        return str(int(setting.default) + (-1 if " to " in setting.constraint else 1))
    if setting.variable == "HEADRACE_LOG__LEVEL":
        return "DEBUG"
    others = {
        "127.0.0.1:9092": "one:9092,other:9093",
        "true": "false",
        "false": "true",
        '["127.0.0.1"]': '["10.0.0.1", "10.0.0.2"]',
    }
    return others.get(setting.default, "other")


def test_the_environment_goes_before_the_file_and_the_file_before_the_default(
    dotenv: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert Settings().api.port == 8080
    dotenv.write_text("HEADRACE_API__PORT=8081\nHEADRACE_API__MAX_EVENTS=7\n")
    assert Settings().api.port == 8081
    monkeypatch.setenv("HEADRACE_API__PORT", "8082")
    assert Settings().api.port == 8082
    assert Settings().api.max_events == 7, "the environment replaces one value, not its whole group"


def test_what_a_composition_root_hands_in_goes_before_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_KAFKA__BOOTSTRAP_SERVERS", "environment:9092")
    given = KafkaSettings(bootstrap_servers="flag:9092")  # type: ignore[call-arg]  # every field has a default
    assert Settings(kafka=given).kafka.bootstrap_servers == "flag:9092"


def test_an_unknown_name_in_the_file_is_refused_by_its_name(dotenv: Path) -> None:
    dotenv.write_text("HEADRACE_API_PORT=8081\n")
    with pytest.raises(ValidationError, match="headrace_api_port"):
        Settings()


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("HEADRACE_API__PORT", "eighty"),
        ("HEADRACE_API__PORT", "99999"),
        ("HEADRACE_KAFKA__BOOTSTRAP_SERVERS", "localhost:9o92"),
        ("HEADRACE_KAFKA__BOOTSTRAP_SERVERS", ""),
        ("HEADRACE_STACK__KAFKA_PORT", "0"),
        ("HEADRACE_WORKER__FLUSH_RECORDS", "20001"),
        ("HEADRACE_CASSANDRA__KEYSPACE", "head-race"),
        ("HEADRACE_LOG__LEVEL", "LOUD"),
    ],
)
def test_an_unusable_value_is_refused_with_its_place_and_itself(
    variable: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(ValidationError) as refused:
        Settings(_env_file=None)  # type: ignore[call-arg]
    [error] = refused.value.errors()
    assert "HEADRACE_" + "__".join(map(str, error["loc"])).upper() == variable
    assert error["input"] == value


def test_settings_cannot_be_changed_after_they_were_read() -> None:
    settings = Settings(_env_file=None)  # type: ignore[call-arg]
    with pytest.raises(ValidationError, match="frozen"):
        settings.api = settings.api.model_copy(update={"port": 1})


def test_a_misspelt_setting_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_KAFKA__BOOTSTRAP_SERVER", "elsewhere:9092")
    with pytest.raises(ValidationError, match=r"kafka\.bootstrap_server"):
        Settings()


@pytest.mark.parametrize("variable", ["HEADRACE_API_PORT", "HEADRACE_KAFKA", "HEADRACE_PYTHONS"])
def test_a_variable_that_belongs_to_no_section_is_refused(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_PYTHON", "python3.11")
    load_settings()
    monkeypatch.setenv(variable, "8081")
    with pytest.raises(UnknownSetting, match=variable):
        load_settings()


def test_a_process_gets_the_settings_of_the_one_that_starts_it_whatever_lies_around(
    dotenv: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`up` must not start an API against the Kafka that an inherited variable names."""
    ours = Settings(_env_file=None)  # type: ignore[call-arg]
    dotenv.write_text('HEADRACE_CASSANDRA__CONTACT_POINTS=["production"]\n')
    monkeypatch.setenv("HEADRACE_KAFKA__BOOTSTRAP_SERVERS", "production:9092")
    for name, value in as_environment(ours).items():
        monkeypatch.setenv(name, value)
    assert load_settings() == ours


def test_the_servers_are_those_of_the_local_stack_unless_they_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_STACK__KAFKA_PORT", "19092")
    monkeypatch.setenv("HEADRACE_STACK__CASSANDRA_PORT", "19042")
    settings = load_settings()
    assert (settings.kafka.bootstrap_servers, settings.cassandra.port) == ("127.0.0.1:19092", 19042)
    monkeypatch.setenv("HEADRACE_KAFKA__BOOTSTRAP_SERVERS", "kafka:9092")
    monkeypatch.setenv("HEADRACE_CASSANDRA__CONTACT_POINTS", '["cassandra"]')
    settings = load_settings()
    assert (settings.kafka.bootstrap_servers, settings.cassandra.port) == ("kafka:9092", 9042)
