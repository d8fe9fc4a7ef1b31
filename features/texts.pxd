cpdef str shared(str text)
