"""The side-by-side benchmark: the same network, rows and first weights, trained by each contender in turn.

::

    workloads     what is trained
    contender     what takes part has to offer; contenders lists who does
    rounds        all contenders in each round, in a new order each time
    run_workload  curves compared, lengths chosen, rounds run: one WorkloadResult
    result        what was seen, as plain data
    table         the same as text
"""
