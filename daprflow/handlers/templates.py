"""Path templates such as ``/orders/{id}``: their parts, and how two of them relate."""

from dataclasses import dataclass


class TemplateError(ValueError):
    """A template cannot be used; the text is the rest of a sentence about it."""


@dataclass(frozen=True, slots=True)
class Template:
    """A path in parts; a part is a text, or the name of a parameter.

    Attributes:
        parts: each text, or ``{name}`` where a parameter stands.
    """

    parts: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters, in order."""
        return tuple(part[1:-1] for part in self.parts if is_parameter(part))

    @property
    def path(self) -> str:
        """The template as it is written, without a slash at its end."""
        return "/" + "/".join(self.parts)

    @property
    def shape_path(self) -> str:
        """The path with nameless parameters, the same for all that match the same."""
        return "/" + "/".join(part if part is not None else "{}" for part in self.shape)

    @property
    def shape(self) -> tuple[str | None, ...]:
        """The parts without names; None stands for a parameter."""
        return tuple(None if is_parameter(part) else part for part in self.parts)


def parse(path: str) -> Template:
    """Read a template.

    Raises:
        TemplateError: a parameter is not a whole part, has no usable name, or stands there twice.
    """
    parts = tuple(path.strip("/").split("/"))
    for part in parts:
        if not part or part in {".", ".."}:
            raise TemplateError(f"has the path '{path}' with an empty part, '.' or '..'")
        if any(char in part for char in "?#"):
            raise TemplateError(
                f"has the path '{path}' with '?' or '#'; query parameters are keyword-only "
                "parameters of the function, 'page: Annotated[int, Query()]'"
            )
        if ("{" in part or "}" in part) and not is_parameter(part):
            raise TemplateError(
                f"has the path '{path}', where '{part}' is no parameter: a parameter is a whole "
                "part between slashes and its name a Python name, as in '/orders/{id}'"
            )
    template = Template(parts)
    if len(set(template.names)) < len(template.names):
        raise TemplateError(f"has the path '{path}', which names a parameter twice")
    return template


def is_parameter(part: str) -> bool:
    """Whether a part of a template is a parameter."""
    return part.startswith("{") and part.endswith("}") and part[1:-1].isidentifier()


def ambiguous(first: Template, second: Template) -> bool:
    """Whether a path may fit both templates and neither is the narrower one."""
    if len(first.parts) != len(second.parts):
        return False
    pairs = list(zip(first.shape, second.shape, strict=True))
    if any(None not in pair and pair[0] != pair[1] for pair in pairs):
        return False
    first_narrower = any(one is not None and other is None for one, other in pairs)
    second_narrower = any(one is None and other is not None for one, other in pairs)
    return first_narrower == second_narrower
