from features cimport cells, msgpack
from features.state cimport UserState


cpdef put_parts(bytearray out, UserState state, catalogue, base)


cpdef prune(UserState state, catalogue)
