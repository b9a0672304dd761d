"""Where time goes, what is true, which device to use: measured, with intervals, concluded only where that is honest.

::

    measure, statistics, interval, verdict    the measuring core: blocks of interleaved runs -> intervals -> verdicts
    fork_server    fresh processes with torch imported
    loop, loop_of_run    a training loop that can be started anew; a finished run as one
    step/          a step taken apart: ledger, ladder, floor
    machines/      passports: what each kind of work takes on a machine
    forecasting/   what a step will take, from its work and a passport
    explain, explanation, advice              all of these for one loop, as data and in sentences
    claims/        beliefs, each tested by an experiment
    call/          what model(x) does
    monitoring/    watching a model while it trains
    preserve       a model put back as it was
"""
