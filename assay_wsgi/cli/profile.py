"""Which service, as whom, in which namespace, printed how: flag > environment > config file > default, per field."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from .failures import Failed

DEFAULT_URL = "http://127.0.0.1:8080"
DEFAULT_NAMESPACE = "main"
KEYS = ("engine_url", "api_key", "api_key_file", "namespace", "output")  # of a config file
NO_FLAG = "default"
_MASKED_CHARS = 14  # of a key: `assay_` and eight digits, as the service shows it
_SHORT_KEY_CHARS = 24  # a key that is not longer is not shown at all


class Format(StrEnum):
    """How results are printed."""

    TABLE = "table"
    JSON = "json"
    JSONL = "jsonl"
    YAML = "yaml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What the command line knows of the service, and how it wants its answers."""

    engine_url: str
    api_key: str | None
    namespace: str
    output: Format | None  # None: a table on a terminal, else JSON
    sources: Mapping[str, str]  # where each of the fields comes from: --flag, $VARIABLE, a path, or "default"
    path: Path | None  # the config file that was read

    @property
    def named_namespace(self) -> str | None:
        """The namespace, if somebody has named one. A run is looked for in all of them otherwise."""
        return None if self.sources["namespace"] == NO_FLAG else self.namespace

    @property
    def shown_key(self) -> str | None:
        """The key for people and logs: never whole."""
        if not self.api_key:
            return None
        return f"{self.api_key[:_MASKED_CHARS]}..." if len(self.api_key) > _SHORT_KEY_CHARS else "***"


def resolve(flags: Mapping[str, Any], environ: Mapping[str, str]) -> Profile:
    """Put the four layers together. Raises Failed for a file or a value that cannot be meant."""
    path, configured = _config(flags.get("config"), environ)
    sources: dict[str, str] = {}

    def pick(name: str, default: str | None) -> str | None:
        variable = f"ASSAY_{name.upper()}"
        layers = (
            (flags.get(name), f"--{name.replace('_', '-')}"),
            *(
                [(_key_in(environ.get(f"{variable}_FILE"), f"${variable}_FILE"), f"${variable}_FILE")]
                * (name == "api_key")
            ),
            (environ.get(variable) or None, f"${variable}"),
            (configured.get(name), str(path)),
            (default, NO_FLAG),
        )
        value, sources[name] = next((layer for layer in layers if layer[0] is not None), (None, NO_FLAG))
        return value

    url = pick("engine_url", DEFAULT_URL) or ""
    _check_url(url, sources["engine_url"])
    key = pick("api_key", None)
    _check_key(key, sources["api_key"])
    output = pick("output", None)
    return Profile(
        engine_url=url.rstrip("/"),
        api_key=key or None,
        namespace=pick("namespace", DEFAULT_NAMESPACE) or "",
        output=None if output is None else read_format(output, sources["output"]),
        sources=sources,
        path=path,
    )


def presumed(flag: str | None, environ: Mapping[str, str]) -> dict[str, str]:
    """Give what the config file says of the service, by the variables that go before it. Raises Failed.

    A file of a key is named, not read: a worker lives longer than a key may.
    """
    path, configured = _config(flag, environ)
    if url := configured.get("engine_url"):
        _check_url(url, str(path))
    if configured.get("api_key_file"):
        configured.pop("api_key", None)
    return {f"ASSAY_{name.upper()}": value for name, value in configured.items() if name != "output"}


def read_format(text: str, source: str) -> Format:
    """Read the name of a format, in any case. Raises Failed with those that there are."""
    wanted = text.strip().lower()
    try:
        return Format("yaml" if wanted == "yml" else wanted)
    except ValueError:
        raise Failed(f"{source}: there is no output format '{text}': table, json, jsonl or yaml") from None


def search_path(environ: Mapping[str, str]) -> list[Path]:
    """Name the places where a config file is looked for when none is named, first to last."""
    found = []
    if home := environ.get("XDG_CONFIG_HOME"):
        found.append(Path(home) / "assay" / "config.yaml")
    if home := environ.get("HOME"):
        found.append(Path(home) / ".config" / "assay" / "config.yaml")
    return [*found, Path("/etc/assay/config.yaml")]


def _config(flag: str | None, environ: Mapping[str, str]) -> tuple[Path | None, dict[str, str]]:
    """Read the one config file that counts, with its api_key_file read into the api_key."""
    named, source = (flag, "--config") if flag else (environ.get("ASSAY_CONFIG_FILE"), "$ASSAY_CONFIG_FILE")
    if named:
        path = Path(named)
        text = _text(path, f"{source}: {path}")
        if text is None:
            raise Failed(f"{source}: there is no file {path}")
        return path, _configured(path, text)
    for path in search_path(environ):
        text = _text(path, str(path))
        if text is not None:
            return path, _configured(path, text)
    return None, {}


def _text(path: Path, what: str) -> str | None:
    """Read a file; None where there is none."""
    try:
        return path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise Failed(f"{what} cannot be read: {getattr(error, 'strerror', None) or 'not UTF-8'}") from None


def _configured(path: Path, text: str) -> dict[str, str]:
    import yaml

    try:
        read = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise Failed(f"{path}: not YAML: {' '.join(str(error).split())}") from None
    if read is None:
        return {}
    if not isinstance(read, dict):
        raise Failed(f"{path}: must hold `key: value` lines; the keys are {', '.join(KEYS)}")
    for key, value in read.items():
        if key not in KEYS:
            near = difflib.get_close_matches(str(key), KEYS, n=1)
            hint = f"did you mean {near[0]}?" if near else f"the keys are {', '.join(KEYS)}"
            raise Failed(f"{path}: there is no key '{key}'; {hint}")
        if value is not None and not isinstance(value, str):
            raise Failed(f"{path}: {key} must be a text, not {value!r}: put it in quotes")
    given = {key: value for key, value in read.items() if value is not None}
    if named := given.get("api_key_file"):
        # Beside the config file, wherever the command is called.
        given["api_key_file"] = str((path.parent / Path(named).expanduser()).absolute())
        given["api_key"] = _key_in(given["api_key_file"], f"{path}: api_key_file")
    return given


def _key_in(named: str | None, source: str) -> str | None:
    """Read the file that holds the key."""
    if not named:
        return None
    key = _text(Path(named), f"{source}: {named}")
    if key is None:
        raise Failed(f"{source}: there is no file {named}")
    return key.strip()


def _check_url(url: str, source: str) -> None:
    try:
        parts = urlsplit(url)
        right = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        right = False
    if not right or parts.query or parts.fragment or any(sign.isspace() for sign in url):
        raise Failed(f"{source}: '{url}' is no URL of an engine: write http://host:port, as in {DEFAULT_URL}")


def _check_key(key: str | None, source: str) -> None:
    if key and not all("!" <= sign <= "~" for sign in key):
        raise Failed(f"{source}: the API key holds characters that cannot be sent: a key is one word of visible ASCII")
