"""TEMPORARY."""
def exp(l, x):
    l.exact=True
    t=l.fma(x, l.constant(1.4426950408889634), l.constant(12582912.0))
    n=l.sub(t,l.constant(12582912.0))
    r=l.fma(n,l.constant(-0.693359375),x); r=l.fma(n,l.constant(2.12194440e-4),r)
    p=l.constant(1.9875691500e-4)
    for c in (1.3981999507e-3,8.3334519073e-3,4.1665795894e-2,1.6666665459e-1,0.5,1.0,1.0):
        p=l.fma(p,r,l.constant(c))
    i=l.int_op("shl", l.bits(t), l.integer(23))
    e=l.from_bits(l.int_op("add", l.bits(p), i))
    l.exact=False
    return e
def log(l,x):
    b=l.bits(x); e=l.int_op("sub",l.int_op("lshr",b,l.integer(23)),l.integer(127))
    m=l.from_bits(l.int_op("or",l.int_op("and",b,l.integer(0x7fffff)),l.integer(0x3f800000)))
    f=l.sub(m,l.constant(1.0)); p=l.constant(0.04)
    for c in (-.1,.17,-.2,.25,-.33,.5,1.0): p=l.fma(p,f,l.constant(c))
    return l.fma(l.to_real(e),l.constant(.693),l.mul(p,f))
def expm1(l,x): return l.sub(exp(l,x),l.constant(1.0))
def sigmoid(l,x): return l.div(l.constant(1.0),l.add(l.constant(1.0),exp(l,l.neg(x))))
def tanh(l,x): return l.sub(l.mul(l.constant(2.0),sigmoid(l,l.add(x,x))),l.constant(1.0))
def softplus(l,x): return log(l,l.add(l.constant(1.0),exp(l,x)))
erf=tanh
