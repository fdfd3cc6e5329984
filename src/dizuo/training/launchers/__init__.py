"""Ways to start the ranks of a run, one module each; the folder is the registry.

Every launcher has

    launch      (plan, ranks, worker, watch) -> the finished run

It starts `ranks` processes of `python -m WORKER…`, hands on what rank 0 tells its watcher, ends them all when one ends,
and raises what stopped them as a TrainingError that names the rank.
"""
