from features.state cimport UserState
