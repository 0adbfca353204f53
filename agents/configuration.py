"""Settings from the environment and from options; options win."""

from pydantic import SecretStr, ValidationError

from schemas.errors import ConfigurationError
from streams.settings import Settings


def read_settings(**options: object) -> Settings:
    """The settings: WINBACK_* variables, overridden by those options that are not None.

    Raises ConfigurationError, one line that names each wrong variable or option.
    """
    given = {name: value for name, value in options.items() if value is not None}
    try:
        return Settings(**given)  # type: ignore[arg-type]  # pydantic is what checks them
    except ValidationError as error:
        wrong = [_sentence(item["loc"], item["msg"], item["input"], given) for item in error.errors()]
        raise ConfigurationError("; ".join(wrong)) from error


def environment_of(settings: Settings) -> dict[str, str]:
    """The settings that were set, as the variables that set them: for a worker in a process of its own.

    Secrets are left out; they are in the environment already, and nowhere else.
    """
    given = settings.model_dump(mode="json", exclude_unset=True, exclude={"sasl_password"})
    return {f"WINBACK_{name.upper()}": str(value) for name, value in given.items() if value is not None}


def _sentence(location: tuple[int | str, ...], reason: str, value: object, options: dict[str, object]) -> str:
    """`WINBACK_HTTP_PORT: input should be ..., not '70000'`; a secret's value is never shown."""
    name = str(location[0]) if location else "settings"
    place = f"--{name.replace('_', '-')}" if name in options else f"WINBACK_{name.upper()}"
    field = Settings.model_fields.get(name)
    secret = field is None or SecretStr in (field.annotation, *getattr(field.annotation, "__args__", ()))
    shown = "" if secret else f", not {str(value)!r}"
    return f"{place}: {reason[:1].lower()}{reason[1:]}{shown}"
