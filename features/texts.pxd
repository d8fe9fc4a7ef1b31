cdef dict _texts


cpdef str shared(str text)
