"""How events become features: Faust delivers batches, lanes fold and write them, then the span is acknowledged."""
