"""The rules of a generator, one function each.

A function returns where the rule is kept. Where it is not, it raises `Broken` with what was found
and what to do.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress

import torch
from torch import Tensor

from latentedit.editing import guard
from latentedit.errors import InputError, LatentEditError, PluginFault, UnknownName, Unsupported
from latentedit.interfaces.generator import Generator
from latentedit.testing.generator_case import GeneratorCase
from latentedit.testing.rules import Broken

CLOSE = 1e-3
"""Largest distance between images that count as one, in units of [-1, 1]; between codes, in
standard deviations of the codes."""
NO_SPACE = "no-such-space"


def says_what_it_has(case: GeneratorCase) -> None:
    """Spaces with shapes, a resolution and a fingerprint are declared."""
    generator = case.generator
    shapes = dict(generator.spaces)
    sound = all(
        isinstance(shape, tuple) and shape and all(isinstance(n, int) and n > 0 for n in shape)
        for shape in shapes.values()
    )
    if not shapes or not sound:
        raise Broken(
            f"spaces is {shapes}; map each space to the shape of one code, such as {{'w': (512,)}}"
        )
    if not isinstance(generator.resolution, int) or generator.resolution < 1:
        raise Broken(f"resolution is {generator.resolution!r}; it is a number of pixels")
    if not re.fullmatch("[0-9a-f]{64}", str(generator.fingerprint)):
        raise Broken(
            f"fingerprint is {generator.fingerprint!r}; make it by "
            "latentedit.fingerprint(configuration, weights)"
        )
    if generator.has_styles != ("s" in shapes):
        raise Broken(
            f"has_styles is {generator.has_styles}, and the spaces are {', '.join(shapes)}; "
            "declare has_styles = True exactly where there is a space 's'"
        )
    if generator.home not in shapes:
        raise Broken(f"home_space is {generator.home!r}, and the spaces are {', '.join(shapes)}")
    for rows, row in generator.row_spaces.items():
        if rows in shapes and shapes[rows][1:] != shapes.get(row):
            raise Broken(
                f"row_spaces says that codes of {rows} are rows of codes of {row}, and the shapes "
                f"are {shapes[rows]} and {shapes.get(row)}; name only spaces of such rows"
            )


def draws_codes_by_seed(case: GeneratorCase) -> None:
    """`sample` returns finite float32 codes of the declared shape, which the seed decides alone."""
    generator = case.generator
    if not case.codes:
        raise Broken("no space can be sampled; sample at least one of `spaces`")
    for space, codes in case.codes.items():
        shape = generator.spaces[space]
        for n in (len(codes), 1, 0):
            check_kind(f"sample in {space}", generator.sample(n, case.seed, space), (n, *shape))
        with torch.random.fork_rng():
            torch.manual_seed(1)
            again = generator.sample(len(codes), case.seed, space)
        if not torch.equal(again, codes):
            raise Broken(
                f"sample in {space} drew two results with one seed; draw numbers from a "
                "torch.Generator with that seed alone"
            )
        if torch.equal(generator.sample(len(codes), case.seed + 1, space), codes):
            raise Broken(f"sample in {space} drew the same codes with two seeds")


def converts_to_codes_of_the_other_space(case: GeneratorCase) -> None:
    """`convert` returns codes of the target's shape or raises `Unsupported`, and a way over a space
    between ends where the direct way ends."""
    for source, codes in case.codes.items():
        reached = {}
        for target, shape in case.generator.spaces.items():
            with suppress(Unsupported):
                found = asked(case, "convert", codes, source, target)
                check_kind(f"convert {source} → {target}", found, (len(codes), *shape))
                reached[target] = found
        if source not in reached or not torch.equal(reached[source], codes):
            raise Broken(f"convert {source} → {source} does not return the codes as they are")
        for between, there in reached.items():
            for target, direct in reached.items():
                with suppress(Unsupported):
                    _check_way(case, (source, between, target), there, direct)


def _check_way(case: GeneratorCase, way: tuple[str, ...], there: Tensor, direct: Tensor) -> None:
    found = asked(case, "convert", there, way[1], way[2])
    if (gap := float((found - direct).abs().max() / direct.std())) > CLOSE:
        raise Broken(
            f"convert {' → '.join(way)} ends {gap:.2g} standard deviations from "
            f"{way[0]} → {way[2]}; each step makes the next space's code of the same image"
        )


def refuses_what_it_does_not_know(case: GeneratorCase) -> None:
    """An unknown space raises `UnknownName`, and codes of another shape `InputError`."""
    generator, (space, codes) = case.generator, next(iter(case.codes.items()))
    wrong = torch.zeros(2, 3, *generator.spaces[space])
    calls: dict[str, tuple[Callable[[], Tensor], type[LatentEditError]]] = {
        "sample in an unknown space": (lambda: generator.sample(1, 0, NO_SPACE), UnknownName),
        "convert to an unknown space": (
            lambda: generator.convert(codes, space, NO_SPACE),
            UnknownName,
        ),
        "synthesize of an unknown space": (
            lambda: generator.synthesize(codes, NO_SPACE),
            UnknownName,
        ),
        "convert of codes of another shape": (
            lambda: generator.convert(wrong, space, space),
            InputError,
        ),
        "synthesize of codes of another shape": (
            lambda: generator.synthesize(wrong, space),
            InputError,
        ),
    }
    for what, (call, expected) in calls.items():
        try:
            call()
        except expected:
            continue
        except Exception as error:
            raise Broken(
                f"{what} raised {type(error).__name__}: {error}; raise {expected.__name__}, as "
                "latentedit.CodeSpaces does"
            ) from error
        raise Broken(f"{what} raised nothing; raise {expected.__name__}")


def makes_images(case: GeneratorCase) -> None:
    """`synthesize` returns finite float32 images (N, 3, H, W) in [-1, 1], of many codes, one and
    none."""
    height, width = case.generator.image_size
    for space, codes in case.codes.items():
        for n in (len(codes), 1, 0):
            images = asked(case, "synthesize", codes[:n], space).detach()
            check_kind(f"synthesize of {space}", images, (n, 3, height, width))
            if n and not bool((images.abs() <= 1).all()):
                raise Broken(
                    f"synthesize of {space} returned values from {float(images.min()):.3g} to "
                    f"{float(images.max()):.3g}; clip images to [-1, 1]"
                )


def makes_one_image_of_a_code_in_every_space(case: GeneratorCase) -> None:
    """A code and what `convert` makes of it show the same image."""
    for source, codes in case.codes.items():
        for target in case.generator.spaces:
            with suppress(Unsupported):
                converted = case.generator.convert(codes, source, target)
                gap = _apart(case.synthesize(converted, target), case.images[source])
                if gap > CLOSE:
                    raise Broken(
                        f"the image of a code of {source} and that of the same image in {target} "
                        f"differ by {gap:.2g}; make images of both from the same styles"
                    )


def changes_nothing_around_it(case: GeneratorCase) -> None:
    """`synthesize` leaves its codes and the process as they are, and repeats itself."""
    for space, codes in case.codes.items():
        given = codes.clone()
        try:
            with guard.pure(case.name, "synthesize"):
                images = case.synthesize(given, space)
        except PluginFault as fault:
            raise Broken(str(fault)) from fault
        if not torch.equal(given, codes):
            raise Broken(f"synthesize changed codes of {space} in place; work on a copy")
        if not torch.equal(images, case.images[space]):
            raise Broken(f"synthesize of {space} made two images of one code; keep noise fixed")


def treats_codes_one_by_one(case: GeneratorCase) -> None:
    """A code shows the same image alone and among others."""
    for space, codes in case.codes.items():
        alone = torch.cat([case.synthesize(code[None], space) for code in codes])
        if (gap := _apart(alone, case.images[space])) > CLOSE:
            raise Broken(
                f"codes of {space} make other images alone than in a batch, by {gap:.2g}; take no "
                "statistics over the batch"
            )


def is_named_by_its_fingerprint(case: GeneratorCase) -> None:
    """Two instances have one fingerprint and make one image; other options, another one."""
    twin = case.new()
    if twin.fingerprint != case.generator.fingerprint:
        raise Broken(
            "two instances with the same options have two fingerprints; make it from weights and "
            "configuration alone"
        )
    for space, codes in case.codes.items():
        if _apart(twin.synthesize(codes, space).detach(), case.images[space]) > CLOSE:
            raise Broken("two instances with one fingerprint make two images of one code")
    if case.other is None:
        return
    other = case.registry.generator(case.name, case.other)
    if other.fingerprint == case.generator.fingerprint:
        raise Broken(
            f"options {dict(case.other)} make the same fingerprint as {dict(case.options)}; hash "
            "every option and every weight that changes images"
        )


def lets_gradients_through(case: GeneratorCase) -> None:
    """The gradient of an image reaches the code that it is made of."""
    for space in {case.generator.home, *case.generator.row_spaces} & set(case.codes):
        codes = case.codes[space].clone().requires_grad_()
        images = case.generator.synthesize(codes, space)
        if not images.requires_grad:
            raise Broken(
                f"images of {space} carry no gradient; build no code under torch.no_grad() and "
                "detach nothing"
            )
        (gradient,) = torch.autograd.grad(images.square().sum(), codes)
        reached = gradient.flatten(1).abs().sum(1) > 0
        if not bool(gradient.isfinite().all()) or not bool(reached.all()):
            raise Broken(f"the gradient at codes of {space} is zero or not finite")


def knows_the_truth_if_it_says_so(case: GeneratorCase) -> None:
    """`truth` raises `Unsupported`, or returns finite attributes (N, A) and identity (N, F) that
    are the same for an image in every space."""
    for source, codes in case.codes.items():
        for target in case.generator.spaces:
            with suppress(Unsupported):
                before = known(case, codes, source)
                found = known(case, case.generator.convert(codes, source, target), target)
                if _apart(found, before) > CLOSE * float(before.std()):
                    raise Broken(
                        f"truth says something else of an image in {target} than of the same image "
                        f"in {source}; read every space by way of the same codes"
                    )


def known(case: GeneratorCase, codes: Tensor, space: str) -> Tensor:
    """(N, A + F) attributes and identity, side by side."""
    truth, n = case.generator.truth(codes, space), len(codes)
    factors = truth.identity.shape[-1]
    check_kind(f"truth of {space}, attributes", truth.attributes, (n, truth.schema.width))
    check_kind(f"truth of {space}, identity", truth.identity, (n, factors))
    return torch.cat([truth.attributes, truth.identity], 1)


def assigns_styles_to_rows_if_it_has_any(case: GeneratorCase) -> None:
    """Each channel of S belongs to the row of W+ that `style_rows` names, and changes with it."""
    generator = case.generator
    if not generator.has_styles:
        return
    rows, count = generator.style_rows(), generator.num_ws
    if tuple(rows.shape) != generator.spaces["s"]:
        raise Broken(
            f"style_rows has shape {tuple(rows.shape)}, S has {generator.spaces['s']}; name the "
            "row of every channel"
        )
    if not bool(((rows >= 0) & (rows < count)).all()):
        raise Broken(f"style_rows names rows outside 0 to {count - 1}")
    codes = _in_rows(generator, case)
    before = generator.convert(codes, "w+", "s")
    for row in range(count):
        moved = codes.clone()
        moved[:, row] += codes.std()
        changed = (generator.convert(moved, "w+", "s") != before).any(0)
        if bool(changed[rows != row].any()):
            raise Broken(
                f"row {row} of W+ changes channels of S that style_rows gives to other rows"
            )


def _in_rows(generator: Generator, case: GeneratorCase) -> Tensor:
    for space, codes in case.codes.items():
        with suppress(Unsupported):
            return generator.convert(codes, space, "w+")
    raise Broken("has_styles is declared, and no code can be converted to W+")


def asked(case: GeneratorCase, method: str, *arguments: Tensor | str) -> Tensor:
    """What a method returns, its faults as broken rules; `Unsupported` passes."""
    try:
        found: Tensor = getattr(case.generator, method)(*arguments)
    except Unsupported:
        raise
    except Exception as error:
        what = " → ".join(str(argument) for argument in arguments[1:])
        raise Broken(f"{method} of {what} raised {type(error).__name__}: {error}") from error
    return found


def check_kind(what: str, found: Tensor, shape: tuple[int, ...]) -> None:
    if not isinstance(found, Tensor):
        raise Broken(f"{what} returned {type(found).__name__}, not Tensor")
    if tuple(found.shape) != shape or found.dtype != torch.float32:
        raise Broken(
            f"{what} returned {tuple(found.shape)} {found.dtype}, expected {shape} torch.float32"
        )
    if not bool(found.isfinite().all()):
        raise Broken(f"{what} returned NaN or infinity")


def _apart(first: Tensor, second: Tensor) -> float:
    """Largest difference of two tensors."""
    return float((first - second).abs().max())
