//! Makes signing keys and zone tokens, as kumactl does offline.
