"""Operations whose text is known, answered without parsing, validating, coercing or a resolver for each field.

A text is compiled after Strawberry has answered it twice. Whatever a plan does not take as the usual case is replayed:
answered by Strawberry, which remains the reference. See docs/decisions/0012-compiled-operations.md.
"""
