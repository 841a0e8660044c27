# SPDX-FileCopyrightText: 2026 the gpumerge authors
# SPDX-License-Identifier: Apache-2.0
"""How time grows with the size of the models, with their number and with fewer threads."""
import os

from benchmark import recipes
from benchmark.figures import Figure, NotMeasured, Row
from benchmark.models import make_copies, make_models, require_space
from benchmark.runs import UNSAFE, in_turns, ratios, seconds

import gm_llama

LIKE = "bench-layers"
LAYERS = [7, 23, 78]  # 0.1, 0.3 and 1.0e9 parameters
QUICK_LAYERS = [1, 2]
METHODS = ["ties", "linear"]
N_MODELS = [2, 4, 8]
LONGER_AT_MOST = 1.10
THREADS_TIMES_WANTED = 1.8


def _n_bytes(n_layers):
    return sum(map(gm_llama.n_bytes, gm_llama.tensors(LIKE, n_layers)))


def sizes(bench):
    """The first layers of one set of models, so that every size has the same kind of tensors; all sizes in turns. Where
    writing alone (the I/O floor without inputs) takes longer for each parameter too, the system's page cache does."""
    layers = QUICK_LAYERS if bench.args.quick else LAYERS
    model_bytes = _n_bytes(layers[-1])
    n_models = len(recipes.MODELS)
    has_models = os.path.isdir(bench.args.growth_data)
    require_space(bench.args.work, model_bytes * (2 if has_models else 2 + n_models), model_bytes * (1 + n_models))
    make_models(bench.args.growth_data, LIKE, layers[-1])
    bench.warm([recipes.model_file(bench.args.growth_data, model) for model in recipes.MODELS])

    def merge(method, n_layers):
        text = recipes.first_layers_recipe_text(method, bench.args.growth_data, n_layers)
        return bench.merge(bench.recipe_file(f"{method}-{n_layers}-layers", text), UNSAFE, out_bytes=_n_bytes(n_layers))

    writes = in_turns(bench.args.repeat, [lambda n=n: bench.floor([], out_bytes=_n_bytes(n)) for n in layers])
    for method in METHODS:
        results = in_turns(bench.args.repeat, [lambda n=n: merge(method, n) for n in layers])
        for n_layers, runs, written in zip(layers, results, writes):
            n_params, fewest = _n_bytes(n_layers) / 2, _n_bytes(layers[0]) / 2
            longer, writing_longer = ([ratio * fewest / n_params for ratio in ratios(these, smallest)]
                                      for these, smallest in ((runs, results[0]), (written, writes[0])))
            is_first = n_layers == layers[0]
            yield Row(f"{method}, {n_params / 1e9:.2f}e9 parameters", [
                Figure("time per parameter", "times", longer, "" if is_first else "less",
                       at_most=None if is_first else LONGER_AT_MOST),
                Figure("writing alone", "times", writing_longer), Figure("merge", "s", seconds(runs)),
                Figure("speed", "Mparam/s", [n_params / run.seconds for run in runs])])


def counts(bench):
    """linear of 2, 4 and 8 models, half of the 8 being copies of the others. Bytes: read and written. The last row is
    the straight line from 2 to 8 models, against 4 models: where time grows faster than their number, it lies above."""
    copies = bench.args.growth_data + "-copies"
    n_most = N_MODELS[-1]
    has_copies = os.path.isdir(copies)
    require_space(bench.args.work, bench.model_bytes * (2 if has_copies else 2 + len(recipes.MODELS)),
                  bench.model_bytes * (1 + n_most))
    make_copies(copies, bench.args.data)
    directories = [os.path.join(folder, model) for folder in (bench.args.data, copies) for model in recipes.MODELS]
    bench.warm([os.path.join(directory, "model.safetensors") for directory in directories])

    def merge(n_models):
        text = recipes.linear_recipe_text(directories[:n_models])
        return bench.merge(bench.recipe_file(f"linear-{n_models}-models", text), UNSAFE)

    results = in_turns(bench.args.repeat, [lambda n=n: merge(n) for n in N_MODELS])
    for n_models, runs in zip(N_MODELS, results):
        longer = [ratio * (N_MODELS[0] + 1) / (n_models + 1) for ratio in ratios(runs, results[0])]
        is_first = n_models == N_MODELS[0]
        yield Row(f"linear, {n_models} models", [
            Figure("time per byte", "times", longer, "" if is_first else "less",
                   at_most=None if is_first else LONGER_AT_MOST),
            Figure("merge", "s", seconds(runs))])
    line = [(two + (eight - two) / 3) / four for two, four, eight in zip(*map(seconds, results))]
    yield Row("straight line 2 - 8, at 4 models", [
        Figure("time per byte", "times", line, "less", at_most=LONGER_AT_MOST),
        Figure("merge", "s", seconds(results[1]))])


def threads(bench):
    """The same merge with one thread and with two."""
    if len(os.sched_getaffinity(0)) < 2:
        raise NotMeasured("there is one core")
    for method in ("ties", "dare_ties", "sce"):
        recipe = bench.method_recipe(method)
        bench.warm(recipes.input_files(method, bench.args.data))
        one, two = in_turns(bench.args.repeat, [
            lambda: bench.merge(recipe, [*UNSAFE, "--threads", "1"]),
            lambda: bench.merge(recipe, [*UNSAFE, "--threads", "2"])])
        yield Row(method, [
            Figure("2 threads faster", "times", ratios(one, two), "more", at_least=THREADS_TIMES_WANTED),
            Figure("1 thread", "s", seconds(one)), Figure("2 threads", "s", seconds(two))])
