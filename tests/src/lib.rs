//! What the integration tests share: the plain reference computations and the recorded reference vectors.
