"""Annotations as types: names in them resolved, what is not a type of its own taken off."""

from __future__ import annotations

import ast
import logging
import sys
import typing
from typing import Any

log = logging.getLogger(__name__)

UNIONS: list[Any] = [typing.Union]
if sys.version_info >= (3, 10):
    import types

    UNIONS.append(types.UnionType)

# By name: which of them there are depends on the Python, and typing_extensions has its own.
_WRAPPERS = frozenset({"Annotated", "Required", "NotRequired", "ReadOnly", "Final", "ClassVar"})


def hints_of(thing: Any) -> dict[str, Any]:
    """Return the annotations of a function or class as types; what cannot be resolved is left out."""
    try:
        return typing.get_type_hints(thing, include_extras=True)
    except Exception:  # noqa: BLE001 -- any name in an annotation may be unknown; find out which, below
        return _hints_one_by_one(thing)


def _hints_one_by_one(thing: Any) -> dict[str, Any]:
    hints: dict[str, Any] = {}
    for owner in reversed(thing.__mro__) if isinstance(thing, type) else (thing,):
        scope = getattr(owner, "__globals__", None) or vars(sys.modules[owner.__module__])
        for name, declared in _own_annotations(owner).items():
            annotation = getattr(declared, "__forward_arg__", declared)  # as a NamedTuple keeps its strings
            try:
                hints[name] = _evaluated(annotation, scope) if isinstance(annotation, str) else annotation
            except Exception as error:  # noqa: BLE001
                log.warning(
                    "annotation %s: %r of %s cannot be resolved (%s): its JSON is handed over undecoded",
                    name, annotation, getattr(thing, "__qualname__", thing), error,
                )  # fmt: skip
    return hints


if sys.version_info >= (3, 10):
    from inspect import get_annotations as _own_annotations

    def _evaluated(annotation: str, scope: dict[str, Any]) -> Any:
        return eval(annotation, scope)
else:

    def _own_annotations(owner: Any) -> dict[str, Any]:
        found: dict[str, Any] = owner.__dict__.get("__annotations__", {})  # noqa: RUF063 -- nothing better in 3.9
        return found

    def _evaluated(annotation: str, scope: dict[str, Any]) -> Any:
        tree = ast.fix_missing_locations(_Unions().visit(ast.parse(annotation.strip(), mode="eval")))
        return eval(compile(tree, annotation, "eval"), {**scope, "__Union": typing.Union})


class _Unions(ast.NodeTransformer):
    """Writes `X | None` as Union, which Python 3.9 understands: so may be annotated what is not evaluated there."""

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        self.generic_visit(node)
        if not isinstance(node.op, ast.BitOr):
            return node
        arms = ast.Tuple([node.left, node.right], ast.Load())
        return ast.Subscript(ast.Name("__Union", ast.Load()), arms, ast.Load())


def bare(annotation: Any) -> Any:
    """Take off what says something about a type, but is none: Annotated, NotRequired, NewType and the like."""
    while True:
        if wrapper_of(annotation):
            annotation = typing.get_args(annotation)[0]
        elif hasattr(annotation, "__supertype__"):
            annotation = annotation.__supertype__
        else:
            return annotation


def wrapper_of(annotation: Any) -> str | None:
    """Return the name of what is around a type, such as `NotRequired`; None for a type itself."""
    name = getattr(typing.get_origin(annotation), "__name__", None) or getattr(
        typing.get_origin(annotation), "_name", None
    )
    return name if name in _WRAPPERS else None


def substituted(hints: dict[str, Any], parameters: tuple[Any, ...], arguments: tuple[Any, ...]) -> dict[str, Any]:
    """Put the arguments of a generic class in the place of its parameters."""
    if not arguments:
        return hints
    known = dict(zip(parameters, arguments))

    def put(hint: Any) -> Any:
        if isinstance(hint, typing.TypeVar):
            return known.get(hint, hint)
        inner = getattr(hint, "__parameters__", ())
        if not inner or isinstance(hint, type):
            return hint
        return hint[tuple(known.get(one, Any) for one in inner)]

    return {name: put(hint) for name, hint in hints.items()}
