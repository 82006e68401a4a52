"""Checks of a suite's tasks and models against its plugins, before anything is computed."""

from __future__ import annotations

from latentedit.benchmark.cells.keys import plugins_used
from latentedit.benchmark.suite import Suite
from latentedit.data.attributes import AttributeSchema
from latentedit.data.bank import LatentBank
from latentedit.editing.layers import LayerPreset
from latentedit.errors import EnvironmentFault, InputError, SuiteError
from latentedit.registry import Registry

MODELS = ("generator", "estimator", "identity", "metric")
"""Kinds of plugins that may need what is not installed."""


def check_models(suite: Suite, registry: Registry) -> None:
    """Build every model of `suite` once.

    Raises:
        EnvironmentFault: models need what is not installed; a line each, whatever their number.
    """
    absent: list[str] = []
    for kind, uses in plugins_used(suite, registry).items():
        for use in uses if kind in MODELS else []:
            try:
                registry.build(kind, use.plugin, use.options)
            except EnvironmentFault as error:
                absent.append(str(error))
    if absent:
        raise EnvironmentFault("\n".join(dict.fromkeys(absent)))


def check_tasks(suite: Suite, registry: Registry, given: LatentBank | None = None) -> None:
    """Refuse tasks whose attributes the labeller does not have, or whose rows no code has.

    Args:
        given: the bank of the suite, where it is there before.

    Raises:
        UnknownName: an attribute or a layer preset has an unknown name.
        SuiteError: a row of W+ is not one of the generator's; names the task.
    """
    labeller = suite.bank.labeller
    if given is None:
        check_attributes(suite, registry.estimator(labeller.plugin, labeller.options).schema)
    else:
        check_attributes(suite, given.schema)
        _check_tuning(suite, registry)
    _check_shards(suite, registry, given)
    restricted = [task for task in suite.tasks if task.layers is not None]
    if not restricted:
        return
    use = suite.bank.generator
    count = registry.generator(use.plugin, use.options).num_ws
    for task in restricted:
        if isinstance(task.layers, str):
            preset: LayerPreset = registry.load("layers", task.layers)
            try:
                preset.rows(task.attribute, count)
            except InputError as error:
                raise SuiteError(f"task {task.name}: layers: {error}") from None
        elif bad := [row for row in task.layers or () if not 0 <= row < count]:
            raise SuiteError(
                f"task {task.name}: layers: rows of W+ go from 0 to {count - 1}, received {bad[0]}"
            )


def _check_shards(suite: Suite, registry: Registry, given: LatentBank | None) -> None:
    """Refuse shards of what has to be seen whole."""
    if suite.bank.unstored and suite.shard is None:
        raise SuiteError(
            "bank: is unstored, so that every cell would draw all images again; add `shard: 8192`"
        )
    if suite.shard is None:
        return
    if given is not None and given.inversion is not None:
        raise SuiteError("shard: is for sampled images, and the bank has photographs; leave it out")
    for use in suite.metrics:
        if registry.load("metric", use.plugin).of == "set":
            raise SuiteError(
                f"shard: the metric {use} measures all images as one set, and no cell has all of "
                "them; leave out the metric or the shards"
            )


def _check_tuning(suite: Suite, registry: Registry) -> None:
    labeller = suite.bank.labeller.plugin
    if suite.tune is not None and labeller not in registry.names("estimator"):
        raise SuiteError(
            f"tune: trials are scored by the bank's labeller, and {labeller} labels no other "
            "images; leave out tune, or label the bank with an estimator: latentedit bank label"
        )


def check_attributes(suite: Suite, schema: AttributeSchema) -> None:
    """Raise unless every task's attributes are in `schema`, and its change is possible there.

    Raises:
        UnknownName: the schema has no such attribute.
        InputError: the attribute is a vector, or its range is smaller than the change.
    """
    for task in suite.tasks:
        for name in (task.attribute, *task.among):
            _ = schema[name]
        attribute = schema[task.attribute]
        if attribute.kind == "vector":
            raise InputError(f"a task changes one number; {task.attribute!r} is a vector")
        amount = task.change if isinstance(task.change, int | float) else 0.0
        if amount > attribute.high - attribute.low:
            raise InputError(
                f"task {task.name!r} changes {task.attribute} by {amount}, but its range is "
                f"{attribute.low:g} to {attribute.high:g} {attribute.unit}".rstrip()
            )
