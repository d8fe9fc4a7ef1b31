cimport cython


@cython.locals(
    place=cython.longlong,
    hour=cython.longlong,
    latest=cython.longlong,
    bits=cython.longlong,
    count=cython.Py_ssize_t,
)
cpdef columns_of(list places)


@cython.locals(
    hour=cython.longlong,
    bits=cython.longlong,
    index=cython.Py_ssize_t,
    upper=cython.longlong,
    lower=cython.longlong,
    lows=list,
    seen=list,
)
cpdef times_of(list hours, list counts, bytes low, bytes high, list times)
