"""What ``model(x)`` does, step by step, and what ``model.forward(x)`` leaves out.

::

    trace         what is recorded, as plain data
    describe      shapes, hooks and modules in words
    recorder      the clock and the stack of steps under way
    recorded      what stands in the place of a hook or method
    torch_call    torch's own __call__, seeing recorders
    instrument    recorders put into a model, and taken out again
    timing        model(x) and model.forward(x) in turn
    trial         a model recorded once each way, and repeated
    differences   what one way runs and the other does not
    steps_in_words, tree, text, html    the trace as people read it
    trace_call    all of it
"""
