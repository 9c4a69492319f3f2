"""Pages of HTML out of templates: one way to fill them, whoever draws them."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jinja2

from trisent import __version__
from trisent.i18n import get_language, t


def fill(template: Path, filters: Mapping[str, Callable[..., object]], values: Mapping[str, object]) -> str:
    """Fill a template: everything is escaped, and a name that it asks for in vain is an error.

    Args:
        template: a Jinja file; it also knows `t`, `language` and `version`.
        filters: by name.
        values: what it shows, by name.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(template.parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(filters)
    told: dict[str, Any] = {**values, "version": __version__, "language": get_language(), "t": t}
    return environment.get_template(template.name).render(told)
