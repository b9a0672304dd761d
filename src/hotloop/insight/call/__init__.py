"""What ``model(x)`` does, step by step, and what ``model.forward(x)`` leaves out.

::

    trace         what is recorded, as plain data
    describe      shapes, hooks and modules in words
    recorder      the clock and the stack of steps under way
    instrument    recorders put in the place of hooks, forward and __call__, and taken out again
    timing        model(x) and model.forward(x) in turn
    differences   what one way runs and the other does not
    text, html    the trace as people read it
    trace_call    all of it
"""
