"""Flag, then environment, then config file, then default: of each field, and what is refused."""

from __future__ import annotations

import pytest

from assay_wsgi.cli.failures import Failed
from assay_wsgi.cli.profile import Format
from assay_wsgi.cli.profile import resolve


@pytest.fixture
def written(tmp_path):
    """Writes a config file where it is looked for, and gives the environment that leads there."""

    def write(text):
        path = tmp_path / "assay" / "config.yaml"
        path.parent.mkdir()
        path.write_text(text)
        return {"XDG_CONFIG_HOME": str(tmp_path), "HOME": "/nowhere"}

    return write


def refused(flags, environ):
    with pytest.raises(Failed) as caught:
        resolve(flags, environ)
    assert caught.value.exit_code == 1
    return caught.value.message


def test_without_anything_the_defaults_hold():
    profile = resolve({}, {})

    assert (profile.engine_url, profile.api_key, profile.namespace) == ("http://127.0.0.1:8080", None, "main")
    assert profile.output is None
    assert set(profile.sources.values()) == {"default"}
    assert profile.named_namespace is None


FIELDS = {
    "engine_url": ("http://flag:1", "http://env:2", "http://file:3", "http://127.0.0.1:8080"),
    "api_key": ("of-flag", "of-env", "of-file", None),
    "namespace": ("of-flag", "of-env", "of-file", "main"),
    "output": (Format.JSON, Format.JSONL, Format.YAML, None),
}


@pytest.mark.parametrize("field", FIELDS)
def test_of_each_field_the_nearest_layer_counts_alone(written, field):
    flag, env, file, default = FIELDS[field]
    environ = written(f"{field}: '{file}'\n")
    variable = f"ASSAY_{field.upper()}"

    assert getattr(resolve({field: flag}, {**environ, variable: env}), field) == flag
    assert getattr(resolve({}, {**environ, variable: env}), field) == env
    found = resolve({}, {**environ, variable: ""})
    assert getattr(found, field) == file
    assert found.sources[field] == str(found.path)
    assert getattr(resolve({}, {}), field) == default


def test_a_key_may_be_in_a_file_that_the_environment_names(tmp_path):
    (tmp_path / "key").write_text("  assay_abc\n")
    environ = {"ASSAY_API_KEY_FILE": str(tmp_path / "key"), "ASSAY_API_KEY": "another"}

    profile = resolve({}, environ)

    assert (profile.api_key, profile.sources["api_key"]) == ("assay_abc", "$ASSAY_API_KEY_FILE")
    assert resolve({"api_key": "flagged"}, environ).api_key == "flagged"


def test_a_key_file_beats_the_key_beside_it_and_is_found_beside_the_config_file(written, tmp_path):
    environ = written("api_key: written-here\napi_key_file: key\n")
    (tmp_path / "assay" / "key").write_text("assay_abc\n")

    assert resolve({}, environ).api_key == "assay_abc"


def test_the_config_file_that_is_named_is_the_only_one(written, tmp_path):
    environ = written("namespace: found\n")
    (tmp_path / "mine.yaml").write_text("output: YML\n")

    for profile in (
        resolve({"config": str(tmp_path / "mine.yaml")}, {**environ, "ASSAY_CONFIG_FILE": "/nowhere"}),
        resolve({}, {**environ, "ASSAY_CONFIG_FILE": str(tmp_path / "mine.yaml")}),
    ):
        assert (profile.namespace, profile.output) == ("main", Format.YAML)


def test_the_home_directory_is_looked_in_after_xdg_config_home(tmp_path):
    (tmp_path / ".config" / "assay").mkdir(parents=True)
    (tmp_path / ".config" / "assay" / "config.yaml").write_text("namespace: homely")

    assert resolve({}, {"XDG_CONFIG_HOME": "/nowhere", "HOME": str(tmp_path)}).namespace == "homely"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("engin_url: http://x", "there is no key 'engin_url'; did you mean engine_url?"),
        ("colour: red", "there is no key 'colour'; the keys are engine_url, api_key, api_key_file, namespace, output"),
        ("- a\n- b", "must hold `key: value` lines"),
        ("a: b: c", "not YAML"),
        ("namespace: 7", "namespace must be a text, not 7: put it in quotes"),
        ("output: xml", "there is no output format 'xml': table, json, jsonl or yaml"),
        ("api_key_file: /nowhere/key", "api_key_file: there is no file /nowhere/key"),
    ],
)
def test_a_config_file_that_cannot_be_meant_is_refused(written, text, words):
    message = refused({}, written(text))

    assert words in message
    assert "config.yaml" in message


def test_an_empty_config_file_says_nothing(written):
    assert resolve({}, written("# nothing\n")).namespace == "main"


@pytest.mark.parametrize(
    ("flags", "environ", "words"),
    [
        ({"config": "/nowhere/c.yaml"}, {}, "--config: there is no file /nowhere/c.yaml"),
        ({}, {"ASSAY_CONFIG_FILE": "/nowhere"}, "$ASSAY_CONFIG_FILE: there is no file /nowhere"),
        ({}, {"ASSAY_API_KEY_FILE": "/nowhere"}, "$ASSAY_API_KEY_FILE: there is no file /nowhere"),
        ({}, {"ASSAY_API_KEY_FILE": "/"}, "$ASSAY_API_KEY_FILE: / cannot be read: Is a directory"),
        ({"output": "xml"}, {}, "--output: there is no output format 'xml'"),
        ({}, {"ASSAY_OUTPUT": "xml"}, "$ASSAY_OUTPUT: there is no output format 'xml'"),
        ({"engine_url": "localhost:8080"}, {}, "--engine-url: 'localhost:8080' is no URL of an engine"),
        ({"engine_url": "http://[::1"}, {}, "is no URL of an engine"),
        ({"engine_url": "http://h:99999"}, {}, "is no URL of an engine"),
        ({"api_key": "two words"}, {}, "--api-key: the API key holds characters that cannot be sent"),
    ],
)
def test_a_value_that_cannot_be_meant_is_refused_by_its_source(flags, environ, words):
    assert words in refused(flags, environ)


def test_a_key_is_never_shown_whole():
    assert resolve({"api_key": "assay_" + "0123456789abcdef" * 4}, {}).shown_key == "assay_01234567..."
    assert resolve({"api_key": "short"}, {}).shown_key == "***"
    assert resolve({}, {}).shown_key is None
